// linear/1 on plain weights of any size: a warp owns `rows` outputs of `tokens` tokens; lane l adds columns 8l to 8l + 7
// of every 256 in sequence, then the lanes are added in butterfly order. That order is the same for every config and
// every number of tokens, so the bits are too. grid: (rows / (warps * rows) rounded up, tokens / tokens rounded up),
// 32 * warps threads. [sm_80 and up]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/warp.cuh"
#include "product_arguments.hpp"

namespace org_example {

// Eight numbers from `from`, as far as there are `left`; the others are zeros, which leave every sum as it is.
__device__ __forceinline__ void load_piece(const uint16_t* from, int64_t left, bool aligned, float (&out)[kPiece]) {
  using namespace tare::device;
  if (aligned && left >= kPiece) {
    const uint4 words = *reinterpret_cast<const uint4*>(from);
    const uint32_t w[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) out[2 * i] = low_bf16(w[i]), out[2 * i + 1] = high_bf16(w[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < kPiece; ++i) out[i] = i < left ? bf16_to_float(from[i]) : 0.f;
}

template <int rows, int tokens, int warps, bool f32>
__global__ __launch_bounds__(32 * warps) void product(const ProductArguments a) {
  using namespace tare::device;
  const int lane = threadIdx.x % 32;
  const int64_t row = (int64_t{blockIdx.x} * warps + threadIdx.x / 32) * rows, token = int64_t{blockIdx.y} * tokens;
  float sums[rows][tokens] = {};
  for (int64_t k = lane * kPiece; k < a.columns; k += 32 * kPiece) {
    float w[rows][kPiece], x[kPiece];
#pragma unroll
    for (int r = 0; r < rows; ++r)
      load_piece(a.weights + (row + r) * a.columns + k, row + r < a.rows ? a.columns - k : 0, a.aligned, w[r]);
#pragma unroll
    for (int t = 0; t < tokens; ++t) {
      load_piece(a.x + (token + t) * a.x_stride + k, token + t < a.tokens ? a.columns - k : 0, a.aligned, x);
#pragma unroll
      for (int r = 0; r < rows; ++r)
#pragma unroll
        for (int i = 0; i < kPiece; ++i) sums[r][t] = fmaf(w[r][i], x[i], sums[r][t]);
    }
  }
#pragma unroll
  for (int r = 0; r < rows; ++r)
#pragma unroll
    for (int t = 0; t < tokens; ++t) {
      const float sum = warp_sum(sums[r][t]);
      if (lane != 0 || row + r >= a.rows || token + t >= a.tokens) continue;
      const float value = sum + (a.bias != nullptr ? bf16_to_float(a.bias[row + r]) : 0.f);
      const int64_t at = (token + t) * a.output_stride + row + r;
      if constexpr (f32)
        static_cast<float*>(a.output)[at] = value;
      else
        static_cast<uint16_t*>(a.output)[at] = float_to_bf16(value);
    }
}

}  // namespace org_example
