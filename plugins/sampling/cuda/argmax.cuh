// Greedy choice: the position of the largest logit, ties to the lower id. One block of 1024 threads a row. [sm_80 and
// up]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/warp.cuh"
#include "plugins/sampling/cuda/arguments.hpp"

namespace tare::sampling {

struct Best {
  float value;
  int32_t id;
  __device__ __forceinline__ void meet(float other, int32_t other_id) {
    if (other > value || (other == value && other_id < id)) {
      value = other;
      id = other_id;
    }
  }
};

template <ArgmaxConfig config>
__global__ __launch_bounds__(1024) void argmax(const ArgmaxArguments arguments) {
  using namespace device;
  constexpr int32_t kNone = 0x7fffffff;
  __shared__ Best winners[32];
  Best best{minus_infinity(), kNone};
  bool bad = false;  // NaN or +inf
  const int64_t row = int64_t{blockIdx.x} * arguments.stride;
  for (int64_t i = threadIdx.x; i < arguments.columns; i += blockDim.x) {
    const float value = config.f32 ? static_cast<const float*>(arguments.logits)[row + i]
                                   : bf16_to_float(static_cast<const uint16_t*>(arguments.logits)[row + i]);
    bad |= !(value < -minus_infinity());
    if (value > minus_infinity()) best.meet(value, static_cast<int32_t>(i));
  }
  bad = __syncthreads_or(bad);
#pragma unroll
  for (int distance = 16; distance > 0; distance >>= 1) {
    const float value = __shfl_xor_sync(kAllLanes, best.value, distance);
    const int32_t id = __shfl_xor_sync(kAllLanes, best.id, distance);
    best.meet(value, id);
  }
  if (threadIdx.x % 32 == 0) winners[threadIdx.x / 32] = best;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (uint32_t warp = 1; warp < blockDim.x / 32; ++warp) best.meet(winners[warp].value, winners[warp].id);
  arguments.ids[blockIdx.x] = bad || best.id == kNone ? -1 : best.id;
}

}  // namespace tare::sampling
