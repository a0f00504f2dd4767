#include "plugins/linear/cuda/bench/lab.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

namespace tare::linear_cuda::bench {

namespace {
constexpr size_t kStampWords = 512;  // two a multiprocessor
constexpr size_t kLeastRead = size_t{256} << 20;
}  // namespace

void must(const Status& status) {
  if (!status.ok()) throw Lost{status};
}

const char* name(WeightKind kind) {
  static constexpr const char* kNames[] = {"gaussian", "trained", "clustered", "adversarial"};
  return kNames[static_cast<size_t>(kind)];
}

Lab::Lab(Device& device, jit::CudaLaunch& launcher, jit::Jit& jit)
    : device_(device),
      launcher_(launcher),
      jit_(jit),
      stream_(must(device.create_stream())),
      workspace_(must(make_workspace(tools(), *stream_))),
      counters_(must(device.allocate(64, Purpose::workspace, "bench/counters"))),
      sensors_(static_cast<DeviceSensors*>(device.query(DeviceSensors::kInterface))) {}

std::unique_ptr<Buffer> Lab::memory(size_t bytes, const char* label) {
  return must(device_.allocate(bytes, Purpose::staging, label));
}

jit::CudaKernel& Lab::kernel(const char* name) {
  auto& loaded = kernels_[name];
  if (loaded == nullptr) {
    const auto compiled =
        must(jit_.compile({"plugins/linear/cuda/bench/bench.cuh", std::string("tare::linear_cuda::") + name,
                           std::string(launcher_.architecture())}));
    loaded = must(launcher_.load(*compiled, 0));
  }
  return *loaded;
}
void Lab::launch(const char* name, jit::LaunchShape shape, std::vector<void*> arguments) {
  must(launcher_.launch(*stream_, kernel(name), shape, arguments.data()));
  must(stream_->synchronize());
}

void Lab::fill_weights(void* weights, int64_t rows, int64_t columns, WeightKind kind, uint64_t seed) {
  launch("fill_weights", {.grid_x = 2048, .threads = 256}, {&weights, &rows, &columns, &kind, &seed});
}
void Lab::fill_activations(void* activations, int64_t count, uint64_t seed) {
  launch("fill_activations", {.grid_x = 1024, .threads = 256}, {&activations, &count, &seed});
}
void Lab::poison(void* output, size_t bytes) { must(device_.fill(*stream_, output, 0xff, bytes)); }

uint64_t Lab::differences(const void* a, const void* b, int64_t count) {
  must(device_.fill(*stream_, counters_->data(), 0, 8));
  void* counter = counters_->data();
  launch("count_differences", {.grid_x = 1024, .threads = 256}, {&a, &b, &count, &counter});
  uint64_t out = 0;
  must(device_.copy_out(*stream_, &out, counter, 8));
  must(stream_->synchronize());
  return out;
}

double Lab::relative_error(const void* weights, const void* activations, const void* output, int32_t tokens,
                           int32_t rows, int32_t columns) {
  must(device_.fill(*stream_, counters_->data(), 0, 16));
  void* sums = counters_->data();
  int32_t samples = 4096;
  launch("sample_errors", {.grid_x = 512, .threads = 256},
         {&weights, &activations, &output, &tokens, &rows, &columns, &samples, &sums});
  double out[2];
  must(device_.copy_out(*stream_, out, sums, sizeof out));
  must(stream_->synchronize());
  return std::sqrt(out[0] / out[1]);
}

double Lab::read_bandwidth() {
  // Many times the last cache; less on a device that has not so much free.
  size_t bytes = size_t{4} << 30;
  jit::CudaKernel& reader = kernel("read_all");
  auto buffer = device_.allocate(bytes, Purpose::staging, "bench/read");
  while (!buffer.ok() && buffer.status().code() == Code::exhausted && bytes > kLeastRead)
    buffer = device_.allocate(bytes /= 2, Purpose::staging, "bench/read");
  must(buffer.status());
  must(device_.fill(*stream_, (*buffer)->data(), 0x5a, bytes));
  const void* words = (*buffer)->data();
  int64_t count = static_cast<int64_t>(bytes / 16);
  void* sink = counters_->data();
  double best = 0;
  for (const uint32_t blocks_per_unit : {2u, 4u}) {
    const uint32_t blocks = static_cast<uint32_t>(launcher_.multiprocessors()) * blocks_per_unit;
    Recorded all = record(
        [&](Stream& stream, int) {
          void* arguments[] = {&words, &count, &sink};
          return launcher_.launch(stream, reader, {.grid_x = blocks, .threads = 512}, arguments);
        },
        1);
    best = std::max(best, static_cast<double>(bytes) / (burst_us(all, 7, 20) * 1e-6));
  }
  return best;
}

Lab::Recorded Lab::record(const Work& work, int calls) {
  must(work(*stream_, 0));  // loads whatever loads lazily
  must(stream_->synchronize());
  must(launcher_.begin_recording(*stream_));
  for (int i = 0; i < calls; ++i) must(work(*stream_, i));
  return {must(launcher_.end_recording(*stream_)), calls};
}

double Lab::replay_us(Recorded& recorded) {
  const auto first = must(stream_->record());
  must(recorded.graph->launch(*stream_));
  const auto second = must(stream_->record());
  must(second->wait());
  return must(launcher_.elapsed_ms(*first, *second)) * 1000.0 / recorded.calls;
}

double Lab::burst_us(Recorded& recorded, int rounds, int rest_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(rest_ms));
  must(recorded.graph->launch(*stream_));
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) times.push_back(replay_us(recorded));
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[static_cast<size_t>(rounds / 2)];
}

void Lab::stamp(int which) {
  if (!stamps_) {
    stamps_ = memory(2 * kStampWords * sizeof(uint64_t), "bench/stamps");
    must(device_.fill(*stream_, stamps_->data(), 0, stamps_->bytes()));
  }
  uint64_t* to = static_cast<uint64_t*>(stamps_->data()) + which * kStampWords;
  void* arguments[] = {&to};
  const jit::LaunchShape shape{.grid_x = static_cast<uint32_t>(launcher_.multiprocessors()), .threads = 1024};
  must(launcher_.launch(*stream_, kernel("stamp"), shape, arguments));
}

double Lab::stamped_gigahertz() {
  std::vector<uint64_t> words(2 * kStampWords);
  must(device_.copy_out(*stream_, words.data(), stamps_->data(), words.size() * sizeof(uint64_t)));
  must(stream_->synchronize());
  std::vector<double> rates;
  for (size_t i = 0; i + 1 < kStampWords; i += 2) {
    const uint64_t* before = words.data() + i;
    const uint64_t* after = before + kStampWords;
    if (before[1] != 0 && after[1] > before[1])
      rates.push_back(static_cast<double>(after[0] - before[0]) / static_cast<double>(after[1] - before[1]));
  }
  if (rates.empty()) return 0;
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

double Lab::burst_gigahertz(Recorded& recorded, int rounds, int rest_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(rest_ms));
  must(recorded.graph->launch(*stream_));
  stamp(0);
  for (int i = 0; i < rounds; ++i) must(recorded.graph->launch(*stream_));
  stamp(1);
  return stamped_gigahertz();
}

Lab::Sustained Lab::sustained(Recorded& recorded, double seconds) {
  using Clock = std::chrono::steady_clock;
  auto elapsed = [](Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); };
  const auto start = Clock::now();
  while (elapsed(start) < seconds / 2) replay_us(recorded);
  const auto half = Clock::now();
  const double before = joules();
  stamp(0);
  std::vector<double> times;
  while (elapsed(half) < seconds / 2) times.push_back(replay_us(recorded));
  stamp(1);
  must(stream_->synchronize());
  const double calls = static_cast<double>(times.size()) * recorded.calls, spent = joules() - before;
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return {times[times.size() / 2], stamped_gigahertz(), spent / calls * 1000};
}

}  // namespace tare::linear_cuda::bench
