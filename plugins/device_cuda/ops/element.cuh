// Numbers of a tensor, bf16 or f32, as floats and back with one rounding. [device]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"

namespace tare::cuda_ops {

template <Element element>
__device__ __forceinline__ float load(const void* from, int64_t at) {
  if constexpr (element == Element::kF32)
    return static_cast<const float*>(from)[at];
  else
    return device::bf16_to_float(static_cast<const uint16_t*>(from)[at]);
}

template <Element element>
__device__ __forceinline__ void store(void* to, int64_t at, float value) {
  if constexpr (element == Element::kF32)
    static_cast<float*>(to)[at] = value;
  else
    static_cast<uint16_t*>(to)[at] = device::float_to_bf16(value);
}

// One rounding to the element's type.
template <Element element>
__device__ __forceinline__ float rounded(float value) {
  return element == Element::kF32 ? value : device::bf16_to_float(device::float_to_bf16(value));
}

}  // namespace tare::cuda_ops
