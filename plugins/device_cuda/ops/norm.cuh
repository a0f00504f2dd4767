// norm/1: rms: round(x / sqrt(mean(x^2) + eps) * s); layer: round((x - mean) / sqrt(var + eps) * s + bias); s = weight
// + offset. One block of up to 1024 threads (a multiple of 32) a row and group; sums in one fixed order. [sm_80 and up]
#pragma once
#include "jit/cuh/launch.cuh"
#include "jit/cuh/warp.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"
#include "plugins/device_cuda/ops/element.cuh"

namespace tare::cuda_ops {

template <NormConfig config>
__global__ void norm(const NormArguments arguments) {
  using namespace device;
  __shared__ float scratch[32];
  begin_overlapped();
  const int64_t x = int64_t{blockIdx.x} * arguments.input_stride + blockIdx.y * arguments.columns;
  const int64_t y = int64_t{blockIdx.x} * arguments.output_stride + blockIdx.y * arguments.columns;
  const float count = static_cast<float>(arguments.columns);
  float mean = 0.f;
  if constexpr (config.kind == NormKind::kLayer) {
    float sum = 0.f;
    for (int64_t i = threadIdx.x; i < arguments.columns; i += blockDim.x)
      sum += load<config.input>(arguments.input, x + i);
    mean = block_sum(sum, scratch) / count;
  }
  float squares = 0.f;
  for (int64_t i = threadIdx.x; i < arguments.columns; i += blockDim.x) {
    const float v = load<config.input>(arguments.input, x + i) - mean;
    squares += v * v;
  }
  const float inverse = 1.f / sqrtf(block_sum(squares, scratch) / count + arguments.epsilon);
  for (int64_t i = threadIdx.x; i < arguments.columns; i += blockDim.x) {
    float v = (load<config.input>(arguments.input, x + i) - mean) * inverse;
    if (arguments.weight != nullptr) v *= load<config.weight>(arguments.weight, i) + arguments.offset;
    if (arguments.bias != nullptr) v += load<config.weight>(arguments.bias, i);
    store<config.output>(arguments.output, y + i, v);
  }
}

}  // namespace tare::cuda_ops
