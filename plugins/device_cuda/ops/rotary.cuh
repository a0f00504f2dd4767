// rotary/1: pair j of values [first, first + 2 * pairs) turns by position * frequencies[j]; the rest of the head is
// copied. One block a (token, head), any number of threads; input and output may be the same memory. [sm_80 and up]
#pragma once
#include "jit/cuh/launch.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"
#include "plugins/device_cuda/ops/element.cuh"

namespace tare::cuda_ops {

template <RotaryConfig config>
__global__ void rotary(const __grid_constant__ RotaryArguments arguments) {
  device::begin_overlapped();
  const int64_t token = blockIdx.x, head = blockIdx.y;
  const int64_t x = token * arguments.input_stride + head * arguments.head_size;
  const int64_t y = token * arguments.output_stride + head * arguments.head_size;
  const float position = static_cast<float>(arguments.positions[token]);
  const int pairs = arguments.pairs, last = arguments.first + 2 * pairs;
  for (int i = threadIdx.x; i < arguments.head_size; i += blockDim.x) {
    if (i < arguments.first || i >= last)
      store<config.output>(arguments.output, y + i, load<config.input>(arguments.input, x + i));
  }
  for (int j = threadIdx.x; j < pairs; j += blockDim.x) {
    const int a = arguments.first + (config.pairs == RotaryPairs::kHalves ? j : 2 * j);
    const int b = config.pairs == RotaryPairs::kHalves ? a + pairs : a + 1;
    // The full-range versions: positions reach 10^5 and more, where the fast ones lose the angle.
    float sine, cosine;
    sincosf(position * arguments.frequencies[j], &sine, &cosine);
    const float u = load<config.input>(arguments.input, x + a), v = load<config.input>(arguments.input, x + b);
    store<config.output>(arguments.output, y + a, arguments.magnitude * (u * cosine - v * sine));
    store<config.output>(arguments.output, y + b, arguments.magnitude * (v * cosine + u * sine));
  }
}

}  // namespace tare::cuda_ops
