#include "plugins/device_cuda/codec/tile_decoder.hpp"

#include <algorithm>
#include <cstring>
#include <map>

namespace tare::cuda_codec {
namespace {

uint32_t coded_planes(const CodedMatrix& m) noexcept {
  uint32_t bits = 0;
  for (int p = 0; p < m.width; ++p) bits |= uint32_t{m.coded[static_cast<size_t>(p)]} << p;
  return bits;
}

class CudaTileDecoder final : public DeviceTileDecoder {
 public:
  CudaTileDecoder(jit::Jit& jit, Device& device, jit::CudaLaunch& launcher)
      : jit_(jit), device_(device), launcher_(launcher) {}

  Status decode(Stream& stream, const CodedMatrix& matrix, std::span<const int64_t> begins, const void* coded,
                void* plain) override {
    if (std::ssize(begins) != matrix.tiles() + 1)
      return failure(Code::internal, std::ssize(begins) - 1, " tiles, expected ", matrix.tiles());
    TARE_ASSIGN_OR_RETURN(jit::CudaKernel* const kernel, load(matrix));
    if (first_bad_ == nullptr) {
      TARE_ASSIGN_OR_RETURN(first_bad_, device_.allocate(8, Purpose::staging, kLabel));
    }
    if (begins_ == nullptr || begins_->bytes() < begins.size_bytes()) {
      begins_.reset();
      TARE_ASSIGN_OR_RETURN(begins_,
                            device_.allocate(std::max(begins.size_bytes(), size_t{1} << 16), Purpose::staging, kLabel));
    }
    TARE_RETURN_IF_ERROR(device_.copy_in(stream, begins_->data(), begins.data(), begins.size_bytes()));
    TARE_RETURN_IF_ERROR(device_.fill(stream, first_bad_->data(), 0xff, 8));
    first_tile_ = matrix.first_tile;
    TileArguments a = arguments(matrix);
    a.coded = static_cast<const uint8_t*>(coded);
    a.begins = static_cast<const int64_t*>(begins_->data());
    a.plain = plain;
    a.first_bad = static_cast<unsigned long long*>(first_bad_->data());
    void* parameters[] = {&a};
    const int64_t blocks = (a.tiles + kTileWarps - 1) / kTileWarps;
    const int64_t most = int64_t{launcher_.multiprocessors()} * (64 / kTileWarps);
    return launcher_.launch(stream, *kernel,
                            {.grid_x = static_cast<uint32_t>(std::min(blocks, most)),
                             .threads = kTileWarps * 32,
                             .shared_bytes = shared_bytes(matrix)},
                            parameters);
  }
  Status check(Stream& stream) override {
    if (first_bad_ == nullptr) return {};
    uint64_t first = 0;
    TARE_RETURN_IF_ERROR(device_.copy_out(stream, &first, first_bad_->data(), sizeof first));
    TARE_RETURN_IF_ERROR(stream.synchronize());
    if (first == ~uint64_t{0}) return {};
    return failure(Code::corrupt, "tile ", first_tile_ + static_cast<int64_t>(first),
                   " is damaged: its planes do not end where they must");
  }

 private:
  static constexpr std::string_view kLabel = "tile decoder";

  Result<jit::CudaKernel*> load(const CodedMatrix& matrix) {
    const auto key = std::pair(matrix.width, coded_planes(matrix));
    if (const auto known = kernels_.find(key); known != kernels_.end()) return known->second.get();
    TARE_ASSIGN_OR_RETURN(const auto compiled, jit_.compile({"plugins/device_cuda/codec/tiles.cuh", expression(matrix),
                                                             std::string(launcher_.architecture())}));
    TARE_ASSIGN_OR_RETURN(auto kernel, launcher_.load(*compiled, shared_bytes(matrix)));
    return kernels_.emplace(key, std::move(kernel)).first->second.get();
  }

  jit::Jit& jit_;
  Device& device_;
  jit::CudaLaunch& launcher_;
  std::map<std::pair<int32_t, uint32_t>, std::shared_ptr<jit::CudaKernel>> kernels_;
  std::unique_ptr<Buffer> begins_, first_bad_;
  int64_t first_tile_ = 0;  // of what was decoded last
};

}  // namespace

std::string expression(const CodedMatrix& matrix, int warps) {
  return text("tare::cuda_codec::decode_tiles<tare::cuda_codec::TilesConfig{.width = ", matrix.width,
              ", .coded = ", coded_planes(matrix), ", .warps = ", warps, "}>");
}
uint32_t shared_bytes(const CodedMatrix& matrix) noexcept {
  return static_cast<uint32_t>(__builtin_popcount(coded_planes(matrix))) * (4u << 12) + 4 * 256;  // tables, starts
}
TileArguments arguments(const CodedMatrix& matrix) noexcept {
  TileArguments a{};
  a.rows = matrix.rows, a.columns = matrix.columns, a.tiles = matrix.tiles();
  a.tile_rows = matrix.tile_rows, a.tile_columns = matrix.tile_columns;
  static_assert(sizeof a.frequencies == sizeof matrix.frequencies);
  std::memcpy(a.frequencies, matrix.frequencies.data(), sizeof a.frequencies);
  return a;
}

std::unique_ptr<DeviceTileDecoder> make_tile_decoder(jit::Jit& jit, Device& device, jit::CudaLaunch& launcher) {
  return std::make_unique<CudaTileDecoder>(jit, device, launcher);
}

}  // namespace tare::cuda_codec
