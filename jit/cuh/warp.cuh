// Sums and maxima over a warp and over a block, in one fixed order, so that results do not depend on scheduling.
// [device]
#pragma once
#include <cstdint>

namespace tare::device {

inline constexpr uint32_t kAllLanes = 0xffffffffu;

// Less than every number: NVRTC has no INFINITY of its own.
__device__ __forceinline__ float minus_infinity() { return __int_as_float(0xff800000); }

// Every lane gets the sum (butterfly order: the same for all lanes).
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance >>= 1) value += __shfl_xor_sync(kAllLanes, value, distance);
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance >>= 1)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

// Every thread gets the sum over the block; `scratch` holds one float a warp. blockDim.x: a multiple of 32.
__device__ __forceinline__ float block_sum(float value, float* scratch) {
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  float total = 0.f;
  for (uint32_t warp = 0; warp < blockDim.x / 32; ++warp) total += scratch[warp];
  __syncthreads();
  return total;
}

__device__ __forceinline__ float block_max(float value, float* scratch) {
  value = warp_max(value);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  float best = scratch[0];
  for (uint32_t warp = 1; warp < blockDim.x / 32; ++warp) best = fmaxf(best, scratch[warp]);
  __syncthreads();
  return best;
}

}  // namespace tare::device
