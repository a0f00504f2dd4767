// The formulas of activations in float, in one place: the same bits alone or behind a product. Sources as
// core/api/activation.hpp has them. [device]
#pragma once
#include <cstdint>

namespace tare::device {

__device__ __forceinline__ float silu(float x) { return x / (1.f + expf(-x)); }
__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.f + erff(x * 0.70710678f)); }
__device__ __forceinline__ float gelu_tanh(float x) {
  return 0.5f * x * (1.f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}
__device__ __forceinline__ float relu(float x) { return x > 0.f ? x : 0.f; }

}  // namespace tare::device
