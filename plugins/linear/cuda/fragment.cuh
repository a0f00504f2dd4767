// Accumulator fragments on their way out: 8 tokens x 16 rows per warp, {row g: tokens 2t, 2t+1; row g+8: the same}.
// [device; whole warp]
#pragma once
#include "jit/cuh/activation.cuh"
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

// Two neighbouring numbers through the epilogue.
template <Epilogue epilogue>
__device__ __forceinline__ uint32_t finish_pair(uint32_t product, uint32_t other) {
  const auto one = [](uint32_t y_bits, uint32_t other_bits) {
    const float y = device::bf16_to_float(static_cast<uint16_t>(y_bits));
    const float x = device::bf16_to_float(static_cast<uint16_t>(other_bits));
    float gate = 0.f;
    if constexpr (epilogue == Epilogue::kAdd) return x + y;
    if constexpr (epilogue == Epilogue::kSilu) gate = device::silu(x);
    if constexpr (epilogue == Epilogue::kGelu) gate = device::gelu(x);
    if constexpr (epilogue == Epilogue::kGeluTanh) gate = device::gelu_tanh(x);
    if constexpr (epilogue == Epilogue::kRelu) gate = device::relu(x);
    return device::bf16_to_float(device::float_to_bf16(gate)) * y;
  };
  return device::floats_to_bf16x2(one(product & 0xffff, other & 0xffff), one(product >> 16, other >> 16));
}

// output[token0 ..+8][row0 ..+16] = bf16(scale * fragment + bias), or the same unrounded in float; tokens past the end
// are dropped.
template <Epilogue epilogue = Epilogue::kNone>
__device__ __forceinline__ void store_fragment(const LinearArguments& arguments, int token0, int row0, int lane,
                                               const float4& v) {
  float4 out{v.x * arguments.scale, v.y * arguments.scale, v.z * arguments.scale, v.w * arguments.scale};
  if (arguments.bias != nullptr) {
    const float upper = device::bf16_to_float(arguments.bias[row0 + lane / 4]);
    const float lower = device::bf16_to_float(arguments.bias[row0 + lane / 4 + 8]);
    out.x += upper, out.y += upper, out.z += lower, out.w += lower;
  }
  if (epilogue == Epilogue::kNone && arguments.output_f32 != nullptr) {
    const int first = token0 + 2 * (lane % 4);
    float* to = arguments.output_f32 + static_cast<int64_t>(first) * arguments.rows + row0 + lane / 4;
    if (first < arguments.tokens) to[0] = out.x, to[8] = out.z;
    if (first + 1 < arguments.tokens) to[arguments.rows] = out.y, to[arguments.rows + 8] = out.w;
    return;
  }
  uint32_t upper = device::transpose_8x8(device::floats_to_bf16x2(out.x, out.y));
  uint32_t lower = device::transpose_8x8(device::floats_to_bf16x2(out.z, out.w));
  const int token = token0 + lane / 4;
  if (token < arguments.tokens) {
    const int64_t place = static_cast<int64_t>(token) * arguments.rows + row0 + 2 * (lane % 4);
    if constexpr (epilogue != Epilogue::kNone) {
      // Past L1, which may hold what lay there before.
      const auto* other = reinterpret_cast<const unsigned int*>(arguments.other + place);
      upper = finish_pair<epilogue>(upper, __ldcg(other)), lower = finish_pair<epilogue>(lower, __ldcg(other + 4));
    }
    uint16_t* to = arguments.output + place;
    *reinterpret_cast<uint32_t*>(to) = upper;
    *reinterpret_cast<uint32_t*>(to + 8) = lower;
  }
}

}  // namespace tare::linear_cuda
