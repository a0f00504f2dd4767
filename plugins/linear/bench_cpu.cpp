// bench_linear_cpu: what the CPU products reach on this machine. GB/s of weights at M = 1 beside the machine's own read
// rate, GFLOP/s at larger M. Rounds of all kernels alternate, so that a change of the machine's load hits all alike;
// each launch is timed by itself. Printed are the median and the best: on a busy machine the best is the one that
// nobody interrupted.
//   bench_linear_cpu [--rounds 7] [--threads 1,2] [--rows 1,4,16,32,128,512] [--kernels SUBSTRING] [--quick] [--space]
//   [--cpu-time] [--layouts dense,w12,w11] [--cached]
// GB/s are of the BF16 numbers, whatever bytes a layout stores them in; of codes, the rate beside the dense kernel's of
// the same instruction set is printed too: the median of the ratios of neighbouring launches, each at its own best
// prefetch distance with --space.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>

#include <cmath>
#include <map>

#include "core/api/ops.hpp"
#include "plugins/device_cpu/cpu_device.hpp"
#include "plugins/linear/coded_backend.hpp"
#include "plugins/linear/coded_layout.hpp"
#include "plugins/linear/cpu_candidate.hpp"
#include "plugins/linear/cpu_layouts.hpp"
#include "plugins/linear/plain_problem.hpp"

namespace tare::linear {
namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
// Processor time of the process: what a launch takes when others hold the machine, told with --cpu-time.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}
double best(const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); }

struct Options {
  int rounds = 7;
  std::vector<int64_t> rows{1, 4, 16, 32, 128, 512};
  std::vector<int32_t> threads{1, 2};
  std::string kernels, layouts = "dense,w12,w11";
  bool quick = false, space = false, cpu_time = false;
  bool cached = false;  // one small matrix that stays in the second cache: what decoding costs by itself
};

// Copies of one matrix, enough that no cache holds them: each launch reads the next.
class Weights {
 public:
  Weights(Device& device, WeightInfo info, const Layout& layout, int64_t total_bytes) : info_(std::move(info)) {
    const std::vector<uint16_t> plain = trained_like();
    auto survey = layout.survey(info_);
    std::unique_ptr<LayoutPlan> plan;
    if (survey.ok() && *survey != nullptr) {
      (void)(*survey)->look(0, info_.outputs(), plain.data());
      plan = std::move((*survey)->finish()).value();
    }
    const int64_t bytes = plan != nullptr ? plan->bytes() : layout.bytes(info_), step = round_up(bytes, 4096);
    const int64_t copies = std::max<int64_t>(1, total_bytes / step);
    auto buffer = device.allocate(static_cast<size_t>(step * copies), Purpose::weights, "bench");
    if (!buffer.ok()) std::fprintf(stderr, "%s\n", buffer.status().message().c_str()), std::exit(1);
    buffer_ = std::move(buffer).value();
    auto* const out = static_cast<std::byte*>(buffer_->data());
    const double start = seconds();
    const Status status = plan != nullptr ? plan->encode(0, info_.outputs(), plain.data(), out)
                                          : layout.encode(info_, 0, info_.outputs(), plain.data(), out);
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str()), std::exit(1);
    std::printf("  %s: %s, encoded at %.2f GB/s of BF16\n", std::string(layout.id()).c_str(),
                plan != nullptr ? plan->note().c_str() : "16 bits a weight",
                2e-9 * static_cast<double>(plain.size()) / (seconds() - start));
    for (int64_t c = 0; c < copies; ++c) {
      if (c > 0) std::memcpy(out + c * step, out, static_cast<size_t>(bytes));
      views_.push_back({out + c * step, bytes, layout.id(), &info_, nullptr});
    }
  }
  const WeightView& next() { return views_[at_++ % views_.size()]; }
  const void* data() const { return buffer_->data(); }
  size_t bytes() const { return buffer_->bytes(); }
  const WeightInfo& info() const { return info_; }

 private:
  // Gaussian rows of log-normal scale: 2.66 bits of exponent entropy.
  std::vector<uint16_t> trained_like() const {
    std::mt19937_64 random(7);
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> some(1 << 16);
    for (float& v : some) v = normal(random);
    std::vector<uint16_t> out(static_cast<size_t>(info_.outputs() * info_.inputs()));
    float scale = 0.02f;
    uint64_t state = 88172645463325252ull;
    for (size_t i = 0; i < out.size(); ++i) {
      if (i % static_cast<size_t>(info_.inputs()) == 0) scale = 0.02f * std::exp(0.33f * normal(random));
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      out[i] = to_bf16(scale * some[state >> 20 & 65535] * (1 + static_cast<float>(state >> 40 & 1023) * 1e-4f)).bits;
    }
    return out;
  }

  WeightInfo info_;
  std::unique_ptr<Buffer> buffer_;
  std::vector<WeightView> views_;
  size_t at_ = 0;
};

struct Runner {
  std::string name;
  std::unique_ptr<Instance> instance;
  std::vector<std::byte> scratch;
  std::vector<double> times;
  Weights* weights = nullptr;
  std::string code, instruction_set;
};

void add_runners(std::vector<Runner>& out, Device& device, const KernelCandidate& candidate, const Problem& problem,
                 const Options& options, Weights& weights, std::string_view code, std::string_view instruction_set) {
  if (const Verdict v = candidate.supports(problem); !v) {
    std::printf("  %s: skipped, %s\n", std::string(candidate.id()).c_str(), v.reason.c_str());
    return;
  }
  for (const KernelConfig& config :
       options.space ? candidate.space(problem) : std::vector<KernelConfig>{candidate.fallback(problem)}) {
    auto instance = candidate.instance(device, problem, config);
    if (!instance.ok()) std::fprintf(stderr, "%s\n", instance.status().message().c_str()), std::exit(1);
    out.push_back({text(candidate.id(), " ", to_string(config)),
                   std::move(instance).value(),
                   std::vector<std::byte>(static_cast<size_t>(candidate.scratch_bytes(problem, config))),
                   {},
                   &weights,
                   std::string(code),
                   std::string(instruction_set)});
  }
}

// A pass over memory that no cache holds, with every thread: the machine's own rate.
constexpr int64_t kReadBytes = int64_t{64} << 20;
double read_seconds(Device& device, const Weights& weights, int64_t turn) {
  auto& parallel = *static_cast<CpuParallel*>(device.query(CpuParallel::kInterface));
  std::vector<uint64_t> sums(static_cast<size_t>(parallel.threads()) * 8);
  const auto slices = static_cast<int64_t>(weights.bytes()) / kReadBytes;
  const auto* words = static_cast<const uint64_t*>(weights.data()) + turn % slices * (kReadBytes / 8);
  const double start = seconds();
  parallel.run(kReadBytes / 64, 1, [&](int64_t begin, int64_t end, int32_t worker) {
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (int64_t i = begin * 8; i < end * 8; i += 8) {
      __builtin_prefetch(words + i + 256);
      a ^= words[i] ^ words[i + 4], b ^= words[i + 1] ^ words[i + 5];
      c ^= words[i + 2] ^ words[i + 6], d ^= words[i + 3] ^ words[i + 7];
    }
    sums[static_cast<size_t>(worker) * 8] = a ^ b ^ c ^ d;
  });
  const double taken = seconds() - start;
  volatile uint64_t keep = sums[0];
  (void)keep;
  return taken;
}

using WeightsByCode = std::map<std::string, std::unique_ptr<Weights>>;

// Each code's best config beside the dense kernel's best of the same instruction set.
void print_ratios(const std::vector<Runner>& runners, int64_t rows) {
  std::map<std::pair<std::string, std::string>, const Runner*> fastest;
  for (const Runner& r : runners) {
    const Runner*& kept = fastest[{r.instruction_set, r.code}];
    if (kept == nullptr || median(r.times) < median(kept->times)) kept = &r;
  }
  for (const auto& [key, coded] : fastest) {
    const auto dense = fastest.find({key.first, "dense"});
    if (key.second == "dense" || dense == fastest.end()) continue;
    std::vector<double> ratios;
    for (size_t i = 0; i < coded->times.size(); ++i) ratios.push_back(dense->second->times[i] / coded->times[i]);
    std::printf("  M=%-4lld %s: %s is %.2f times dense (of the best launches %.2f)\n", static_cast<long long>(rows),
                key.first.c_str(), key.second.c_str(), median(ratios), best(dense->second->times) / best(coded->times));
  }
}

void run_shape(Device& device, WeightsByCode& by_code, int64_t rows, const Options& options) {
  Weights& weights = *by_code.begin()->second;
  const WeightInfo& info = weights.info();
  const Problem problem = linear::plain_problem(device, info, rows);
  std::vector<Runner> runners;
  struct Family {
    std::shared_ptr<const CpuBackend> dense;
    std::shared_ptr<const CpuBackend> (*coded)(std::string_view);
  };
  for (const Family& family : {Family{make_amx_backend(), make_coded_amx_backend},
                               Family{make_avx512_bf16_backend(), make_coded_avx512_bf16_backend},
                               Family{make_highway_backend(), make_coded_highway_backend}}) {
    if (family.dense == nullptr || family.dense->id().find(options.kernels) == std::string_view::npos) continue;
    for (const auto& [code, of_code] : by_code)
      add_runners(
          runners, device,
          *make_candidate(code == "dense" ? family.dense : family.coded(code == "w12" ? kW12 : kW11), Tail::none),
          problem, options, *of_code, code, family.dense->id());
  }
  std::vector<uint16_t> x(static_cast<size_t>(rows * info.inputs()), 0x3f80);
  std::vector<uint16_t> y(static_cast<size_t>(rows * info.outputs()));
  const TensorView inputs[] = {packed_view(x.data(), DType::bf16, {rows, info.inputs()})};
  const TensorView outputs[] = {packed_view(y.data(), DType::bf16, {rows, info.outputs()})};
  auto stream = device.create_stream();
  const double flops = 2.0 * static_cast<double>(info.outputs() * info.inputs() * rows);
  const double bytes = 2.0 * static_cast<double>(info.outputs() * info.inputs());
  const int repeats = static_cast<int>(std::max(1.0, std::min(3e8 / bytes, 1e10 / flops)));
  std::vector<double> read;
  for (int round = 0; round < options.rounds; ++round) {
    for (int i = 0; i < 4 && rows == 1 && !options.cached; ++i)
      read.push_back(read_seconds(device, weights, round * 4 + i));
    // Cached weights: each kernel finds the matrix where its own launch before left it.
    for (size_t c = 0; options.cached && c < runners.size() * static_cast<size_t>(repeats); ++c) {
      Runner& r = runners[c / static_cast<size_t>(repeats)];
      const WeightView views[] = {r.weights->next(), {}};
      const double start = seconds();
      const Status status = r.instance->launch({device, **stream, {}, inputs, outputs, views, nullptr, r.scratch});
      r.times.push_back(seconds() - start);
      if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str()), std::exit(1);
    }
    for (int i = 0; i < repeats && !options.cached; ++i) {
      for (Runner& r : runners) {
        const WeightView views[] = {r.weights->next(), {}};
        const auto now = [&] { return options.cpu_time ? cpu_seconds() / device.info().units : seconds(); };
        const double start = now();
        const Status status = r.instance->launch({device, **stream, {}, inputs, outputs, views, nullptr, r.scratch});
        r.times.push_back(now() - start);
        if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str()), std::exit(1);
      }
    }
  }
  const double limit = read.empty() ? 0 : static_cast<double>(kReadBytes) / best(read) / 1e9;
  if (rows == 1) std::printf("  reading alone: best %.1f GB/s\n", limit);
  if (options.space)
    std::sort(runners.begin(), runners.end(),
              [](const Runner& a, const Runner& b) { return median(a.times) < median(b.times); });
  for (const Runner& r : runners) {
    std::printf("  M=%-4lld N=%lld K=%lld ", static_cast<long long>(rows), static_cast<long long>(info.outputs()),
                static_cast<long long>(info.inputs()));
    if (rows <= 16)
      std::printf("%6.2f GB/s (best %6.2f, %3.0f %% of reading)", bytes / median(r.times) / 1e9,
                  bytes / best(r.times) / 1e9, limit > 0 ? 100 * bytes / best(r.times) / 1e9 / limit : 0.0);
    else
      std::printf("%7.1f GFLOP/s (best %7.1f)", flops / median(r.times) / 1e9, flops / best(r.times) / 1e9);
    std::printf(" %6.2f weights/ns  %s\n", static_cast<double>(info.outputs() * info.inputs()) / median(r.times) / 1e9,
                r.name.c_str());
  }
  print_ratios(runners, rows);
  std::fflush(stdout);
}

int run(const Options& options) {
  const auto provider = cpu::make_cpu_provider();
  for (const int32_t threads : options.threads) {
    auto device = provider->open("cpu", {.threads = threads});
    if (!device.ok()) return std::fprintf(stderr, "%s\n", device.status().message().c_str()), 1;
    std::printf("%s, %d threads\n", (*device)->info().name.c_str(), threads);
    using Size = std::pair<int64_t, int64_t>;
    for (const auto& [n, k] : options.cached ? std::vector<Size>{{256, 2048}}
                              : options.quick
                                  ? std::vector<Size>{{8192, 2048}}
                                  : std::vector<Size>{{2048, 2048}, {8192, 2048}, {2048, 8192}, {4096, 4096}}) {
      const std::unique_ptr<Layout> layouts[] = {make_cpu_tiles_layout(), make_w12_layout(), make_w11_layout()};
      WeightsByCode weights;
      for (const auto& layout : layouts) {
        const std::string code(layout->id().substr(0, layout->id().find('/')));
        if (options.layouts.find(code) != std::string::npos)
          weights[code] = std::make_unique<Weights>(**device, WeightInfo{"w", DType::bf16, {n, k}, 1}, *layout,
                                                    options.cached ? 0 : int64_t{256} << 20);
      }
      if (weights.empty()) return std::fprintf(stderr, "no layout is called '%s'\n", options.layouts.c_str()), 1;
      for (const int64_t rows : options.rows) run_shape(**device, weights, rows, options);
    }
  }
  return 0;
}

}  // namespace
}  // namespace tare::linear

int main(int argc, char** argv) {
  tare::linear::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    if (a == "--quick") {
      options.quick = true;
    } else if (a == "--cached") {
      options.cached = true;
    } else if (a == "--cpu-time") {
      options.cpu_time = true;
    } else if (a == "--space") {
      options.space = true;
    } else if (a == "--rounds" && i + 1 < argc) {
      options.rounds = std::max(1, std::atoi(argv[++i]));
    } else if (a == "--kernels" && i + 1 < argc) {
      options.kernels = argv[++i];
    } else if (a == "--layouts" && i + 1 < argc) {
      options.layouts = argv[++i];
    } else if (a == "--rows" && i + 1 < argc) {
      options.rows.clear();
      for (char* t = std::strtok(argv[++i], ","); t != nullptr; t = std::strtok(nullptr, ","))
        options.rows.push_back(std::max(1, std::atoi(t)));
    } else if (a == "--threads" && i + 1 < argc) {
      options.threads.clear();
      for (char* t = std::strtok(argv[++i], ","); t != nullptr; t = std::strtok(nullptr, ","))
        options.threads.push_back(std::max(1, std::atoi(t)));
    } else {
      std::fprintf(stderr,
                   "usage: %s [--rounds 7] [--threads 1,2] [--rows 1,4,16,32,128,512] [--kernels SUBSTRING] [--quick] "
                   "[--space] [--layouts dense,w12,w11] [--cached]\n",
                   argv[0]);
      return 2;
    }
  }
  return tare::linear::run(options);
}
