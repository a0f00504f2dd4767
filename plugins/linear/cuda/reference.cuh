// linear/1 for every shape and type, weights plain: the oracle on the device and the last resort. A warp owns one
// output of up to 8 tokens; lane l adds columns l, l + 32, ... in sequence, then the lanes are added in butterfly
// order. grid: (rows / 4 rounded up) * (tokens / 8 rounded up), 128 threads. [sm_80 and up]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/launch.cuh"
#include "jit/cuh/warp.cuh"
#include "plugins/linear/cuda/simple_arguments.hpp"

namespace tare::linear_cuda {

template <Number number>
__device__ __forceinline__ float read_number(const void* from, int64_t at) {
  if constexpr (number == Number::kF32)
    return static_cast<const float*>(from)[at];
  else
    return device::bf16_to_float(static_cast<const uint16_t*>(from)[at]);
}
template <Number number>
__device__ __forceinline__ void write_number(void* to, int64_t at, float value) {
  if constexpr (number == Number::kF32)
    static_cast<float*>(to)[at] = value;
  else
    static_cast<uint16_t*>(to)[at] = device::float_to_bf16(value);
}

template <ReferenceConfig config>
__global__ __launch_bounds__(128) void reference(const ReferenceArguments arguments) {
  using namespace device;
  begin_overlapped();
  constexpr int kTokens = 8;
  const int lane = threadIdx.x % 32;
  const int64_t row_blocks = (arguments.rows + 3) / 4;
  const int64_t row = blockIdx.x % row_blocks * 4 + threadIdx.x / 32, first = blockIdx.x / row_blocks * kTokens;
  if (row >= arguments.rows) return;
  float sums[kTokens];
#pragma unroll
  for (int t = 0; t < kTokens; ++t) sums[t] = 0.f;
  for (int64_t k = lane; k < arguments.columns; k += 32) {
    const float w = read_number<config.weights>(arguments.weights, row * arguments.columns + k);
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      if (first + t < arguments.tokens)
        sums[t] = fmaf(
            w, read_number<config.activations>(arguments.activations, (first + t) * arguments.activation_stride + k),
            sums[t]);
    }
  }
  const float bias = arguments.bias != nullptr ? read_number<config.bias>(arguments.bias, row) : 0.f;
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    const float sum = warp_sum(sums[t]);
    if (lane == 0 && first + t < arguments.tokens)
      write_number<config.output>(arguments.output, (first + t) * arguments.output_stride + row, sum + bias);
  }
}

}  // namespace tare::linear_cuda
