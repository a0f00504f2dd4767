// bench_load_cuda MODEL..: loads the weights of folders and bundles onto cuda:0, several times, beside what the bus
// brings from pinned memory and what the host alone reads and checks. Prints a line and writes JSON lines.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "core/app/checkpoint_weights.hpp"
#include "core/app/model.hpp"
#include "core/base/log.hpp"
#include "core/bundle/piece_hash.hpp"
#include "core/runtime/staged_inputs.hpp"
#include "core/runtime/staging.hpp"
#include "tests/bench/must.hpp"

namespace tare {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Options {
  std::vector<std::string> models, plugins, nvrtc;
  std::string layout = "w12", cache, out;
  int repeats = 5;
  bool whole_models = true, checksums = false;
};

// GB/s of copies of 4 MiB from pinned memory: the limit.
double bus_rate(Device& device) {
  constexpr size_t kChunk = size_t{4} << 20, kChunks = 64, kRounds = 32;
  auto* pinned = static_cast<PinnedMemory*>(device.query(PinnedMemory::kInterface));
  const auto host = must(pinned->allocate_pinned(kChunk * kChunks));
  std::fill_n(static_cast<char*>(host->data()), kChunk * kChunks, 1);
  const auto there = must(device.allocate(kChunk * kChunks, Purpose::staging, "bench"));
  const auto stream = must(device.create_stream());
  std::vector<double> rates;
  for (int i = 0; i < 5; ++i) {
    const double start = now();
    for (size_t c = 0; c < kChunks * kRounds; ++c) {
      const size_t at = c % kChunks * kChunk;
      must(device.copy_in(*stream, static_cast<char*>(there->data()) + at, static_cast<char*>(host->data()) + at,
                          kChunk));
    }
    must(stream->synchronize());
    rates.push_back(static_cast<double>(kChunk * kChunks * kRounds) / (now() - start) * 1e-9);
  }
  return median(rates);
}

constexpr int64_t kRead = int64_t{2} << 20;  // bytes that a thread reads at once

// Seconds that the host's threads need to read and check what loading sends, with no device.
double host_seconds(const Program& program, const PlainWeights& source) {
  struct Chunk {
    size_t weight;
    int64_t first, last;  // tiles or rows, or bytes
  };
  std::vector<Chunk> chunks;
  std::vector<WeightInfo> infos;
  std::vector<std::unique_ptr<CodedTiles>> coded;
  std::vector<std::optional<LaidOutWeight>> stored;
  const double start = now();
  for (size_t w = 0; w < program.weights.size(); ++w) {
    infos.push_back(weight_info(program, static_cast<int32_t>(w)));
    coded.push_back(source.coded(program.weights[w], infos[w]));
    if (coded[w] != nullptr) must(coded[w]->open());
    stored.push_back(must(source.laid_out(program.weights[w], infos[w])));
    const int64_t row_bytes = infos[w].inputs() * size_of(infos[w].dtype);
    const int64_t count = stored[w]             ? stored[w]->bytes
                          : coded[w] != nullptr ? coded[w]->matrix().tiles()
                                                : infos[w].outputs();
    const int64_t step = stored[w] ? 2 * kRead : coded[w] != nullptr ? 22 : std::max<int64_t>(1, kRead / row_bytes);
    for (int64_t at = 0; at < count; at += step) chunks.push_back({w, at, std::min(count, at + step)});
  }
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < std::clamp(std::thread::hardware_concurrency(), 1u, 32u); ++t)
    threads.emplace_back([&] {
      std::vector<std::byte> to(4 << 20);
      for (size_t c; (c = next++) < chunks.size();) {
        const auto& [w, first, last] = chunks[c];
        must(stored[w]             ? stored[w]->read(first, {to.data(), static_cast<size_t>(last - first)})
             : coded[w] != nullptr ? coded[w]->read(first, last, to.data())
                                   : source.read(program.weights[w], infos[w], first, last, to.data()));
      }
    });
  for (auto& t : threads) t.join();
  return now() - start;
}

// Of the numbers of all weights, decoded from what lies on the device: the same however they came there.
uint64_t checksum(const Program& program, const ResidentWeights& weights, Device& device) {
  constexpr int64_t kRows = 1024;
  const auto stream = must(device.create_stream());
  const auto threads = make_host_threads(0);
  std::vector<std::byte> bytes;
  uint64_t sum = 0;
  for (int32_t w = 0; w < std::ssize(program.weights); ++w) {
    const WeightView& view = weights.view(w);
    const WeightInfo& info = *view.info;
    bytes.resize(static_cast<size_t>(view.bytes));
    must(device.copy_out(*stream, bytes.data(), view.data, bytes.size()));
    must(stream->synchronize());
    std::vector<uint64_t> hashes(static_cast<size_t>((info.outputs() + kRows - 1) / kRows));
    threads->run(std::ssize(hashes), 1, [&](int64_t begin, int64_t end, int32_t) {
      std::vector<std::byte> plain(static_cast<size_t>(kRows * info.inputs() * size_of(info.dtype)));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t rows = std::min(kRows, info.outputs() - i * kRows);
        must(view.decoder->decode(info, i * kRows, i * kRows + rows, bytes.data(), plain.data()));
        const std::span<const std::byte> piece =
            std::span(plain).first(static_cast<size_t>(rows * info.inputs() * size_of(info.dtype)));
        hash_pieces_plainly({&piece, 1}, {&hashes[static_cast<size_t>(i)], 1});
      }
    });
    for (const uint64_t hash : hashes) sum = std::rotl(sum, 1) ^ hash;
  }
  return sum;
}

void run(const Host& host, Device& device, const std::string& path, const Options& o, double bus, std::FILE* out) {
  std::vector<double> loads, wholes, reads;
  int64_t sent = 0, plain = 0, resident = 0;
  for (int i = 0; i < o.repeats; ++i) {
    LoadOptions options;
    options.layout = o.layout;
    options.show_progress = false;
    auto planned =
        must(plan_model(host, must(describe_model(host, path, {.weights = true, .dtype = {}, .context = 4096})),
                        device.info(), device.info().memory_bytes / 10 * 9, options));
    const Program& program = *planned.description.program;
    {
      const CheckpointWeights source(*planned.description.checkpoint.weights);
      sent = plain = 0;
      for (size_t w = 0; w < program.weights.size(); ++w) {
        const WeightInfo info = weight_info(program, static_cast<int32_t>(w));
        const auto coded = source.coded(program.weights[w], info);
        const int64_t bytes = info.outputs() * info.inputs() * size_of(info.dtype);
        const auto stored = must(source.laid_out(program.weights[w], info));
        sent += stored ? stored->bytes : coded != nullptr ? coded->bytes() : bytes, plain += bytes;
      }
      reads.push_back(host_seconds(program, source));  // the first brings the file into the page cache
      const double start = now();
      const auto weights = must(
          ResidentWeights::load(program, planned.settlement, host.registry(), device, source, "bench/weights", {}));
      loads.push_back(now() - start);
      resident = weights->bytes();
      if (o.checksums && i == 0)
        std::printf("%s: checksum of all numbers on the device %016llx\n", path.c_str(),
                    static_cast<unsigned long long>(checksum(program, *weights, device)));
    }
    if (!o.whole_models) continue;
    const double start = now();
    const LoadedModel model = must(load_model(host, std::move(planned), device, options));
    wholes.push_back(now() - start);
  }
  if (wholes.empty()) wholes.push_back(0);
  const double seconds = median(loads), limit = static_cast<double>(sent) / bus * 1e-9;
  std::printf(
      "%s: weights %.3f s (%.3f to %.3f), sent %.2f GB at %.1f GB/s: %.0f %% of the bus; plain %.2f GB at %.1f GB/s; "
      "host alone %.3f s; whole model %.3f s\n",
      path.c_str(), seconds, *std::min_element(loads.begin(), loads.end()),
      *std::max_element(loads.begin(), loads.end()), static_cast<double>(sent) * 1e-9,
      static_cast<double>(sent) / seconds * 1e-9, 100 * limit / seconds, static_cast<double>(plain) * 1e-9,
      static_cast<double>(plain) / seconds * 1e-9, median(reads), median(wholes));
  if (out == nullptr) return;
  std::fprintf(out,
               "{\"device\":\"%s\",\"model\":\"%s\",\"layout\":\"%s\",\"sent_bytes\":%lld,\"plain_bytes\":%lld,"
               "\"resident_bytes\":%lld,\"bus_gb_s\":%.2f,\"limit_s\":%.4f,\"weights_s\":%.4f,\"weights_s_least\":%.4f,"
               "\"weights_s_most\":%.4f,\"host_alone_s\":%.4f,\"model_s\":%.4f,\"repeats\":%d}\n",
               device.info().name.c_str(), path.substr(path.rfind('/') + 1).c_str(), o.layout.c_str(),
               static_cast<long long>(sent), static_cast<long long>(plain), static_cast<long long>(resident), bus,
               limit, seconds, *std::min_element(loads.begin(), loads.end()),
               *std::max_element(loads.begin(), loads.end()), median(reads), median(wholes), o.repeats);
}

int main(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : std::string(); };
    if (arg == "--layout")
      o.layout = value();
    else if (arg == "--plugins")
      o.plugins.push_back(value());
    else if (arg == "--nvrtc")
      o.nvrtc.push_back(value());
    else if (arg == "--cache")
      o.cache = value();
    else if (arg == "--out")
      o.out = value();
    else if (arg == "--weights-only")
      o.whole_models = false;
    else if (arg == "--checksums")
      o.checksums = true;
    else if (arg == "--repeats")
      o.repeats = std::max(1, std::atoi(value().c_str()));
    else
      o.models.push_back(arg);
  }
  if (o.models.empty()) {
    std::printf(
        "usage: bench_load_cuda MODEL.. [--layout NAME] [--repeats N] [--weights-only] [--checksums] [--plugins "
        "FOLDER] [--nvrtc "
        "FOLDER] "
        "[--cache FOLDER] [--out FILE]; needs a CUDA device\n");
    return 2;
  }
  HostOptions options;
  options.plugin_path = o.plugins;
  options.jit.nvrtc_folders = jit::nvrtc_folders(o.nvrtc);
  options.jit.cache_folder = o.cache;
  const auto host = Host::open(options, must(make_log({})));
  const auto device = must(host->open_device("cuda:0", {}));
  const double bus = bus_rate(*device);
  std::printf("%s, %u host threads: %.2f GB/s from pinned memory\n", device->info().name.c_str(),
              std::thread::hardware_concurrency(), bus);
  std::FILE* file = o.out.empty() ? nullptr : std::fopen(o.out.c_str(), "w");
  for (const std::string& model : o.models) run(*host, *device, model, o, bus, file);
  if (file != nullptr) std::fclose(file);
  return 0;
}

}  // namespace
}  // namespace tare

int main(int argc, char** argv) { return tare::main(argc, argv); }
