// gated/1, activate/1, add/1, scale/1, soft_cap/1: value by value, rounded where core/api/ops.hpp rounds. 256 threads.
// [sm_80 and up]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"

namespace tare::cuda_ops {

template <Activation activation>
__device__ __forceinline__ float activate(float x) {
  if constexpr (activation == Activation::kSilu) return x / (1.f + expf(-x));
  if constexpr (activation == Activation::kGelu) return 0.5f * x * (1.f + erff(x * 0.70710678f));
  if constexpr (activation == Activation::kGeluTanh) {
    return 0.5f * x * (1.f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
  }
  if constexpr (activation == Activation::kRelu) return fmaxf(x, 0.f);
  return x;
}

template <ElementwiseConfig config>
__global__ __launch_bounds__(256) void elementwise(const ElementwiseArguments arguments) {
  using namespace device;
  const int64_t column = int64_t{blockIdx.x} * 256 + threadIdx.x, row = blockIdx.y;
  if (column >= arguments.columns) return;
  const float a = bf16_to_float(arguments.first[row * arguments.first_stride + column]);
  float out;
  if constexpr (config.operation == Elementwise::kGated) {
    const float up = bf16_to_float(arguments.second[row * arguments.second_stride + column]);
    out = bf16_to_float(float_to_bf16(activate<config.activation>(a))) * up;
  } else if constexpr (config.operation == Elementwise::kActivate) {
    out = activate<config.activation>(a);
  } else if constexpr (config.operation == Elementwise::kAdd) {
    out = a + bf16_to_float(arguments.second[row * arguments.second_stride + column]);
  } else if constexpr (config.operation == Elementwise::kScale) {
    out = a * bf16_to_float(float_to_bf16(arguments.number));
  } else {
    out = arguments.number * tanhf(a / arguments.number);
  }
  arguments.output[row * arguments.output_stride + column] = float_to_bf16(out);
}

}  // namespace tare::cuda_ops
