// bench_codec_cuda BUNDLE: decodes a bundle's BF16 tensors on cuda:0 from the very bytes of the file, compares every
// bit with the decoder on the CPU, and times it. Prints a line and writes JSON lines.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/bundle/tare_tiles.hpp"
#include "jit/compile/nvrtc.hpp"
#include "jit/cuda_launch.hpp"
#include "jit/device_bundle.hpp"
#include "jit/host.hpp"
#include "plugins/device_cuda/codec/tile_decoder.hpp"
#include "plugins/device_cuda/provider.hpp"
#include "tests/bench/must.hpp"

namespace tare::cuda_codec {
namespace {

struct Resident {
  const TareTensor* tensor;
  std::unique_ptr<CodedTiles> tiles;
  std::unique_ptr<Buffer> coded, begins, out;
  TileArguments arguments;
};

class Bench {
 public:
  Bench(std::shared_ptr<const TareBundle> bundle, Device& device, jit::Jit& jit)
      : bundle_(std::move(bundle)),
        device_(device),
        launcher_(*static_cast<jit::CudaLaunch*>(device.query(jit::CudaLaunch::kInterface))),
        jit_(jit),
        stream_(must(device.create_stream())),
        first_bad_(memory(8)) {}

  // Copies tensors to the device until `most` plain bytes are there.
  void load(int64_t most) {
    for (const TareTensor& t : bundle_->directory().tensors) {
      const bool fits = t.codec == TareTensor::Codec::exp_ans && t.dtype == "BF16" && !t.tables.coded[0];
      if (!fits || plain_ + t.bytes > most) continue;
      plain_ += t.bytes, coded_ += t.stored.bytes + t.stored.pieces * 16;
      Resident r{&t, coded_tiles(bundle_, t), memory(t.stored.bytes), nullptr, memory(t.bytes), {}};
      must(r.tiles->open());
      copy(t.stored.offset, t.stored.bytes, r.coded->data());
      const auto begins = r.tiles->begins();
      r.begins = memory(static_cast<int64_t>(begins.size_bytes()));
      must(device_.copy_in(*stream_, r.begins->data(), begins.data(), begins.size_bytes()));
      must(stream_->synchronize());
      r.arguments = arguments(r.tiles->matrix());
      r.arguments.coded = static_cast<const uint8_t*>(r.coded->data());
      r.arguments.begins = static_cast<const int64_t*>(r.begins->data());
      r.arguments.plain = r.out->data();
      r.arguments.first_bad = static_cast<unsigned long long*>(first_bad_->data());
      residents_.push_back(std::move(r));
    }
  }
  void run(int warps, std::FILE* out, const std::string& name) {
    const auto compiled =
        must(jit_.compile({"plugins/device_cuda/codec/tiles.cuh", expression(residents_.front().tiles->matrix(), warps),
                           std::string(launcher_.architecture())}));
    const uint32_t shared = shared_bytes(residents_.front().tiles->matrix());
    const auto kernel = must(launcher_.load(*compiled, shared));
    must(device_.fill(*stream_, first_bad_->data(), 0xff, 8));
    for (Resident& r : residents_)
      must(device_.fill(*stream_, r.out->data(), 0xee, static_cast<size_t>(r.tensor->bytes)));
    const auto all = [&] {
      for (Resident& r : residents_) {
        void* arguments[] = {&r.arguments};
        const int64_t blocks = (r.arguments.tiles + warps - 1) / warps;
        const int64_t most = int64_t{launcher_.multiprocessors()} * (64 / warps);
        must(launcher_.launch(*stream_, *kernel,
                              {.grid_x = static_cast<uint32_t>(std::min(blocks, most)),
                               .threads = static_cast<uint32_t>(warps) * 32,
                               .shared_bytes = shared},
                              arguments));
      }
    };
    all();
    must(stream_->synchronize());
    const int64_t wrong = check();
    must(launcher_.begin_recording(*stream_));
    all();
    const auto graph = must(launcher_.end_recording(*stream_));
    std::vector<float> times;
    for (int i = 0; i < 15; ++i) {
      const auto first = must(stream_->record());
      must(graph->launch(*stream_));
      const auto second = must(stream_->record());
      must(second->wait());
      times.push_back(must(launcher_.elapsed_ms(*first, *second)));
    }
    std::sort(times.begin(), times.end());
    const double ms = times[times.size() / 2];
    const auto rate = [&](int64_t bytes) { return static_cast<double>(bytes) / ms * 1e-6; };
    std::printf(
        "%2d warps a block: %.3f ms, %.1f GB/s of compressed input, %.1f GB/s of BF16, %lld of %lld values wrong\n",
        warps, ms, rate(coded_), rate(plain_), static_cast<long long>(wrong), static_cast<long long>(plain_ / 2));
    if (out != nullptr)
      std::fprintf(out,
                   "{\"device\":\"%s\",\"warps\":%d,\"tensors\":%zu,\"plain_bytes\":%lld,\"compressed_bytes\":%lld,"
                   "\"ms\":%.4f,\"ms_least\":%.4f,\"ms_most\":%.4f,\"compressed_gb_s\":%.1f,\"bf16_gb_s\":%.1f,"
                   "\"wrong_values\":%lld}\n",
                   name.c_str(), warps, residents_.size(), static_cast<long long>(plain_),
                   static_cast<long long>(coded_), ms, times.front(), times.back(), rate(coded_), rate(plain_),
                   static_cast<long long>(wrong));
  }

 private:
  std::unique_ptr<Buffer> memory(int64_t bytes) {
    return must(device_.allocate(static_cast<size_t>(bytes), Purpose::staging, "bench"));
  }
  void copy(int64_t offset, int64_t bytes, void* to) {
    std::vector<std::byte> host(static_cast<size_t>(bytes));
    must(bundle_->file()->read(offset, host));
    must(device_.copy_in(*stream_, to, host.data(), host.size()));
    must(stream_->synchronize());
  }
  // Values that differ from what the CPU decodes, and one more if a tile reported damage.
  int64_t check() {
    int64_t wrong = 0;
    for (Resident& r : residents_) {
      std::vector<uint16_t> device(static_cast<size_t>(r.tensor->bytes / 2));
      must(device_.copy_out(*stream_, device.data(), r.out->data(), device.size() * 2));
      must(stream_->synchronize());
      size_t at = 0;
      must(bundle_->stream_tensor(*r.tensor, [&](std::span<const std::byte> bytes) {
        if (std::memcmp(device.data() + at, bytes.data(), bytes.size()) != 0)
          for (size_t i = 0; i < bytes.size(); i += 2)
            wrong += std::memcmp(device.data() + at + i / 2, &bytes[i], 2) != 0;
        at += bytes.size() / 2;
        return Status();
      }));
    }
    uint64_t first_bad = 0;
    must(device_.copy_out(*stream_, &first_bad, first_bad_->data(), 8));
    must(stream_->synchronize());
    return wrong + (first_bad == ~uint64_t{0} ? 0 : 1);
  }

  std::shared_ptr<const TareBundle> bundle_;
  Device& device_;
  jit::CudaLaunch& launcher_;
  jit::Jit& jit_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Buffer> first_bad_;
  std::vector<Resident> residents_;
  int64_t plain_ = 0, coded_ = 0;
};

int run(int argc, char** argv) {
  std::string path, nvrtc, cache, out;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    std::string* to = arg == "--nvrtc" ? &nvrtc : arg == "--cache" ? &cache : arg == "--out" ? &out : nullptr;
    if (to == nullptr)
      path = arg;
    else if (i + 1 < argc)
      *to = argv[++i];
  }
  const auto provider = cuda::make_provider({});
  if (path.empty() || provider->found().devices.empty()) {
    std::printf("usage: bench_codec_cuda BUNDLE [--nvrtc FOLDER] [--cache FOLDER] [--out FILE]; needs a CUDA device\n");
    return path.empty() ? 2 : 0;
  }
  const auto device = must(provider->open("cuda:0", {}));
  jit::JitOptions options;
  options.cache_folder = cache;
  options.nvrtc_folders = jit::nvrtc_folders(nvrtc);
  auto jit = jit::make_jit(std::move(options));
  must(jit->add_bundle(jit::device_bundle()));
  must(jit->add_bundle(jit::cuda_codec_bundle()));
  Bench bench(must(TareBundle::open(path)), *device, *jit);
  bench.load(int64_t{16} << 30);
  std::FILE* file = out.empty() ? nullptr : std::fopen(out.c_str(), "w");
  for (const int warps : {4, 8, 16, 32}) bench.run(warps, file, device->info().name);
  if (file != nullptr) std::fclose(file);
  return 0;
}

}  // namespace
}  // namespace tare::cuda_codec

int main(int argc, char** argv) { return tare::cuda_codec::run(argc, argv); }
