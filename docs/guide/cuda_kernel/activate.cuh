// activate/1 for bf16, eight numbers a thread: the kernel of this tutorial. Compiled at run time for the GPU at hand, one
// template instance a config; the header beside it is shared with the host. [sm_80 and up]
#pragma once
#include "activate_arguments.hpp"
#include "jit/cuh/bf16.cuh"

namespace org_example {

template <int activation>
__device__ __forceinline__ float activated(float x) {
  if constexpr (activation == 1) return x / (1.f + expf(-x));
  if constexpr (activation == 2) return 0.5f * x * (1.f + erff(x * 0.70710678f));
  if constexpr (activation == 3) return 0.5f * x * (1.f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
  if constexpr (activation == 4) return x > 0.f ? x : 0.f;
  return x;
}

// grid: (rows, pieces of a row); numbers past the last whole eight are taken one by one.
template <int activation, int threads>
__global__ __launch_bounds__(threads) void activate(const ActivateArguments a) {
  using namespace tare::device;
  const uint16_t* x = a.input + int64_t{blockIdx.x} * a.input_stride;
  uint16_t* y = a.output + int64_t{blockIdx.x} * a.output_stride;
  const int64_t at = (int64_t{blockIdx.y} * threads + threadIdx.x) * kPerThread;
  const bool whole = a.aligned && at + kPerThread <= a.columns;
  if (whole) {
    uint4 words = *reinterpret_cast<const uint4*>(x + at);
    uint32_t* w = &words.x;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      w[i] = floats_to_bf16x2(activated<activation>(low_bf16(w[i])), activated<activation>(high_bf16(w[i])));
    *reinterpret_cast<uint4*>(y + at) = words;
    return;
  }
  for (int64_t i = at; i < at + kPerThread && i < a.columns; ++i)
    y[i] = float_to_bf16(activated<activation>(bf16_to_float(x[i])));
}

}  // namespace org_example
