// Greedy choice: the position of the largest logit, ties to the lower id; NaN never wins. One block of 1024 threads a
// row. [sm_80 and up]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/warp.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"

namespace tare::cuda_ops {

struct Candidate {
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
  __shared__ Candidate winners[32];
  const int64_t row = int64_t{blockIdx.x} * arguments.stride;
  Candidate best{minus_infinity(), 0x7fffffff};
  for (int64_t i = threadIdx.x; i < arguments.columns; i += blockDim.x) {
    const float v = config.f32 ? static_cast<const float*>(arguments.logits)[row + i]
                               : bf16_to_float(static_cast<const uint16_t*>(arguments.logits)[row + i]);
    best.meet(v, static_cast<int32_t>(i));
  }
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
  arguments.ids[blockIdx.x] = best.id == 0x7fffffff ? 0 : best.id;
}

}  // namespace tare::cuda_ops
