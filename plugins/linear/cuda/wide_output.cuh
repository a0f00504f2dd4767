// How a warpgroup of wide.cuh writes its sums: through shared memory and tensor stores. [device; whole warpgroup]
#pragma once
#include "jit/cuh/address.cuh"
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/copy.cuh"
#include "jit/cuh/mma.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/fragment.cuh"

namespace tare::linear_cuda {

// 64 tokens at a time: transposed into a swizzled tile of 64 tokens x 64 rows, there combined with what the epilogue
// takes, then one tensor store, which drops tokens past the end.
template <WideConfig config, Epilogue epilogue>
struct WideOutput {
  uint32_t staging;  // of this warpgroup: config.output_buffers tiles
  int group, warp, lane, thread_of_group;
  int buffer = 0;

  // sum: this warpgroup's 64 rows from row0, all tokens of the tile. has(part): whether these 64 of them are there to
  // be written.
  template <class Has>
  __device__ __forceinline__ void store(const device::TensorMap& output, const LinearArguments& arguments,
                                        const float (&sum)[config.tokens / 2], int row0, int token0, const Has& has) {
    using namespace device;
    constexpr int kParts = config.tokens / 64, kBuffers = config.output_buffers;
    const float scale = arguments.scale;
    // Without a bias -0, which changes no number; scale is a power of two, so that one rounding is left.
    float upper = -0.f, lower = -0.f;
    if (arguments.bias != nullptr) {
      const uint16_t* bias = arguments.bias + row0 + warp % 4 * 16 + lane / 4;
      upper = bf16_to_float(bias[0]), lower = bf16_to_float(bias[8]);
    }
    uint4 others[2][epilogue == Epilogue::kNone ? 1 : kPieces];
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      if (!has(part)) continue;
      if constexpr (epilogue != Epilogue::kNone) {
        if (part == 0 || !has(part - 1)) load_other(arguments, row0, token0 + part * 64, others[part % 2]);
      }
      const uint32_t tile = staging + buffer * kWideOutputBytes;
      if (++buffer == kBuffers) buffer = 0;
      if (thread_of_group == 0) store_wait_read<kBuffers - 1>();
      named_sync(1 + group, 128);
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        const float* v = sum + part * 32 + u * 8;
        const int token = u * 16 + ((lane >> 4) << 3) + (lane & 7), column = (warp % 4) * 2 + ((lane >> 3) & 1);
        store_matrix_x4_transposed(tile + token * 128 + ((column ^ (lane & 7)) << 4),
                                   floats_to_bf16x2(fmaf(v[0], scale, upper), fmaf(v[1], scale, upper)),
                                   floats_to_bf16x2(fmaf(v[2], scale, lower), fmaf(v[3], scale, lower)),
                                   floats_to_bf16x2(fmaf(v[4], scale, upper), fmaf(v[5], scale, upper)),
                                   floats_to_bf16x2(fmaf(v[6], scale, lower), fmaf(v[7], scale, lower)));
      }
      if constexpr (epilogue != Epilogue::kNone) {
        if (part + 1 < kParts && has(part + 1))
          load_other(arguments, row0, token0 + (part + 1) * 64, others[(part + 1) % 2]);
        named_sync(1 + group, 128);
        combine(tile, others[part % 2]);
      }
      async_proxy_fence();
      named_sync(1 + group, 128);
      if (thread_of_group == 0) store_tensor_2d(&output, tile, row0, token0 + part * 64);
    }
  }

 private:
  // A thread's share of a tile in pieces of 8 rows: 8 threads take one token, so that loads are whole lines.
  static constexpr int kPieces = 4;
  __device__ __forceinline__ int token_of(int piece) const { return piece * 16 + thread_of_group / 8; }

  __device__ __forceinline__ void load_other(const LinearArguments& arguments, int row0, int token0,
                                             uint4 (&other)[kPieces]) const {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int token = token0 + token_of(i);
      other[i] = uint4{0, 0, 0, 0};
      // Past L1, which may hold what lay there before.
      if (token < arguments.tokens)
        other[i] = __ldcg(reinterpret_cast<const uint4*>(arguments.other + int64_t{token} * arguments.rows + row0 +
                                                         thread_of_group % 8 * 8));
    }
  }
  __device__ __forceinline__ void combine(uint32_t tile, uint4 (&other)[kPieces]) const {
    using namespace device;
    // Activations are long: a loop through which the pieces move up, or the code of all tiles would not fit the cache.
#pragma unroll(epilogue == Epilogue::kAdd ? kPieces : 1)
    for (int i = 0; i < kPieces; ++i) {
      const int token = token_of(i);
      const uint32_t at = tile + token * 128 + (((thread_of_group % 8) ^ (token & 7)) << 4);
      uint4 y = load_shared_16(at);
      y.x = finish_pair<epilogue>(y.x, other[0].x), y.y = finish_pair<epilogue>(y.y, other[0].y);
      y.z = finish_pair<epilogue>(y.z, other[0].z), y.w = finish_pair<epilogue>(y.w, other[0].w);
      store_shared_16(at, y);
#pragma unroll
      for (int next = 1; next < kPieces; ++next) other[next - 1] = other[next];
    }
  }
};

}  // namespace tare::linear_cuda
