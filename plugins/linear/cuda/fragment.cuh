// Accumulator fragments on their way out: 8 tokens x 16 rows per warp, {row g: tokens 2t, 2t+1; row g+8: the same}.
// [device; whole warp]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/mma.cuh"
#include "plugins/linear/cuda/arguments.hpp"

namespace tare::linear_cuda {

__device__ __forceinline__ void add_to(float4& sum, const float4& v) {
  sum.x += v.x;
  sum.y += v.y;
  sum.z += v.z;
  sum.w += v.w;
}

__device__ __forceinline__ float4 as_float4(const float* v) { return float4{v[0], v[1], v[2], v[3]}; }

// output[token0 ..+8][row0 ..+16] = bf16(scale * fragment); tokens past the end are dropped.
__device__ __forceinline__ void store_fragment(const LinearArguments& arguments, int token0, int row0, int lane,
                                               const float4& v) {
  const uint32_t upper = device::transpose_8x8(device::floats_to_bf16x2(v.x * arguments.scale, v.y * arguments.scale));
  const uint32_t lower = device::transpose_8x8(device::floats_to_bf16x2(v.z * arguments.scale, v.w * arguments.scale));
  const int token = token0 + lane / 4;
  if (token < arguments.tokens) {
    uint16_t* out = arguments.output + static_cast<int64_t>(token) * arguments.rows + row0 + 2 * (lane % 4);
    *reinterpret_cast<uint32_t*>(out) = upper;
    *reinterpret_cast<uint32_t*>(out + 8) = lower;
  }
}

}  // namespace tare::linear_cuda
