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

// scale * fragment + bias, of rows row0 ..+16.
__device__ __forceinline__ float4 scaled(const LinearArguments& arguments, int row0, int lane, const float4& v) {
  float4 out{v.x * arguments.scale, v.y * arguments.scale, v.z * arguments.scale, v.w * arguments.scale};
  if (arguments.bias != nullptr) {
    const float upper = device::bf16_to_float(arguments.bias[row0 + lane / 4]);
    const float lower = device::bf16_to_float(arguments.bias[row0 + lane / 4 + 8]);
    out.x += upper, out.y += upper, out.z += lower, out.w += lower;
  }
  return out;
}

// Rounded, as they lie in memory: two neighbouring rows of one token, of the upper and the lower eight rows.
struct RoundedFragment {
  uint32_t upper, lower;
};
__device__ __forceinline__ RoundedFragment rounded(const float4& v) {
  return {device::transpose_8x8(device::floats_to_bf16x2(v.x, v.y)),
          device::transpose_8x8(device::floats_to_bf16x2(v.z, v.w))};
}
// Where a thread's part of it goes, from the first token and row on.
__device__ __forceinline__ int64_t rounded_place(const LinearArguments& arguments, int token, int row0, int lane) {
  return static_cast<int64_t>(token) * arguments.rows + row0 + 2 * (lane % 4);
}
__device__ __forceinline__ void store_rounded(uint16_t* to, const RoundedFragment& v) {
  *reinterpret_cast<uint32_t*>(to) = v.upper;
  *reinterpret_cast<uint32_t*>(to + 8) = v.lower;
}

// output[token0 ..+8][row0 ..+16] = bf16(scale * fragment + bias), or the same unrounded in float; tokens past the end
// are dropped.
template <Epilogue epilogue = Epilogue::kNone>
__device__ __forceinline__ void store_fragment(const LinearArguments& arguments, int token0, int row0, int lane,
                                               const float4& v) {
  const float4 out = scaled(arguments, row0, lane, v);
  if (epilogue == Epilogue::kNone && arguments.output_f32 != nullptr) {
    const int first = token0 + 2 * (lane % 4);
    float* to = arguments.output_f32 + static_cast<int64_t>(first) * arguments.rows + row0 + lane / 4;
    if (first < arguments.tokens) to[0] = out.x, to[8] = out.z;
    if (first + 1 < arguments.tokens) to[arguments.rows] = out.y, to[arguments.rows + 8] = out.w;
    return;
  }
  RoundedFragment result = rounded(out);
  const int token = token0 + lane / 4;
  if (token < arguments.tokens) {
    const int64_t place = rounded_place(arguments, token, row0, lane);
    if constexpr (epilogue != Epilogue::kNone) {
      // Past L1, which may hold what lay there before.
      const auto* other = reinterpret_cast<const unsigned int*>(arguments.other + place);
      result.upper = finish_pair<epilogue>(result.upper, __ldcg(other));
      result.lower = finish_pair<epilogue>(result.lower, __ldcg(other + 4));
    }
    store_rounded(arguments.output + place, result);
  }
}

// The same with the gate's fragment at hand: output of `up` = act(gate) * up.
template <Epilogue epilogue>
__device__ __forceinline__ void store_gated_fragment(const LinearArguments& gate, const LinearArguments& up, int token0,
                                                     int row0, int lane, const float4& gate_sum, const float4& up_sum) {
  const RoundedFragment other = rounded(scaled(gate, row0, lane, gate_sum));
  RoundedFragment result = rounded(scaled(up, row0, lane, up_sum));
  const int token = token0 + lane / 4;
  if (token >= up.tokens) return;
  result.upper = finish_pair<epilogue>(result.upper, other.upper);
  result.lower = finish_pair<epilogue>(result.lower, other.lower);
  store_rounded(up.output + rounded_place(up, token, row0, lane), result);
}

}  // namespace tare::linear_cuda
