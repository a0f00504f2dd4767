// tile_decoder/1 of a CUDA device: tiles decoded by plugins/device_cuda/codec/tiles.cuh. One thread.
#pragma once
#include <string>

#include "core/api/tile_decoder.hpp"
#include "jit/cuda_launch.hpp"
#include "jit/jit.hpp"
#include "plugins/device_cuda/codec/tile_arguments.hpp"

namespace tare::jit {
SourceBundle cuda_codec_bundle();  // the kernel's sources, for the jit that the decoder gets
}

namespace tare::cuda_codec {

constexpr int kTileWarps = 4;  // a block; measured beside 8, 16 and 32: docs/benchmarks/bundle-codec.md

// The kernel for tiles of this width and these coded planes, its shared memory, and its arguments but for the
// addresses.
std::string expression(const CodedMatrix& matrix, int warps = kTileWarps);
uint32_t shared_bytes(const CodedMatrix& matrix) noexcept;
TileArguments arguments(const CodedMatrix& matrix) noexcept;

// `jit` and `device` outlive it; `launcher` is the device's.
std::unique_ptr<DeviceTileDecoder> make_tile_decoder(jit::Jit& jit, Device& device, jit::CudaLaunch& launcher);

}  // namespace tare::cuda_codec
