// How a warpgroup of wide.cuh writes its sums: through shared memory and tensor stores. [device; whole warpgroup]
#pragma once
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/copy.cuh"
#include "jit/cuh/mma.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"

namespace tare::linear_cuda {

// 64 tokens at a time: transposed into a swizzled tile of 64 tokens x 64 rows, then one tensor store.
template <WideConfig config>
struct WideOutput {
  uint32_t staging;  // of this warpgroup: config.output_buffers tiles
  int group, warp, lane, thread_of_group;
  int buffer = 0;

  // sum: this warpgroup's 64 rows from row0, all tokens of the tile.
  __device__ __forceinline__ void store(const device::TensorMap& output, const float (&sum)[config.tokens / 2],
                                        float scale, int row0, int token0) {
    using namespace device;
#pragma unroll
    for (int part = 0; part < config.tokens / 64; ++part) {
      const uint32_t tile = staging + buffer * kWideOutputBytes;
      if (++buffer == config.output_buffers) buffer = 0;
      if (thread_of_group == 0) store_wait_read<config.output_buffers - 1>();
      named_sync(1 + group, 128);
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        const float* v = sum + part * 32 + u * 8;
        const int token = u * 16 + ((lane >> 4) << 3) + (lane & 7), column = (warp % 4) * 2 + ((lane >> 3) & 1);
        store_matrix_x4_transposed(
            tile + token * 128 + ((column ^ (lane & 7)) << 4), floats_to_bf16x2(v[0] * scale, v[1] * scale),
            floats_to_bf16x2(v[2] * scale, v[3] * scale), floats_to_bf16x2(v[4] * scale, v[5] * scale),
            floats_to_bf16x2(v[6] * scale, v[7] * scale));
      }
      async_proxy_fence();
      named_sync(1 + group, 128);
      if (thread_of_group == 0) store_tensor_2d(&output, tile, row0, token0 + part * 64);
    }
  }
};

}  // namespace tare::linear_cuda
