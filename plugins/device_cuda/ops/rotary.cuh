// rotary/1: pair j of values [first, first + width) turns by position * frequencies[j]; the rest of the head is copied.
// One block a (token, head), any number of threads; input and output may be the same memory. [sm_80 and up]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"

namespace tare::cuda_ops {

template <RotaryConfig config>
__global__ void rotary(const RotaryArguments arguments) {
  using namespace device;
  const int64_t token = blockIdx.x, head = blockIdx.y;
  const uint16_t* x = arguments.input + token * arguments.input_stride + head * arguments.head_size;
  uint16_t* y = arguments.output + token * arguments.output_stride + head * arguments.head_size;
  const float position = static_cast<float>(arguments.positions[token]);
  const int pairs = arguments.width / 2, last = arguments.first + arguments.width;
  for (int i = threadIdx.x; i < arguments.head_size; i += blockDim.x) {
    if (i < arguments.first || i >= last) y[i] = x[i];
  }
  for (int j = threadIdx.x; j < pairs; j += blockDim.x) {
    const int a = arguments.first + (config.pairs == RotaryPairs::kHalves ? j : 2 * j);
    const int b = config.pairs == RotaryPairs::kHalves ? a + pairs : a + 1;
    // The full-range versions: positions reach 10^5 and more, where the fast ones lose the angle.
    float sine, cosine;
    sincosf(position * arguments.frequencies[j], &sine, &cosine);
    const float u = bf16_to_float(x[a]), v = bf16_to_float(x[b]);
    y[a] = float_to_bf16(arguments.magnitude * (u * cosine - v * sine));
    y[b] = float_to_bf16(arguments.magnitude * (v * cosine + u * sine));
  }
}

}  // namespace tare::cuda_ops
