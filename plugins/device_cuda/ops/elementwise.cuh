// gated/1, activate/1, add/1, scale/1, soft_cap/1: value by value, rounded where core/api/ops.hpp rounds. 256 threads.
// [sm_80 and up]
#pragma once
#include "jit/cuh/activation.cuh"
#include "jit/cuh/launch.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"
#include "plugins/device_cuda/ops/element.cuh"

namespace tare::cuda_ops {

template <Activation activation>
__device__ __forceinline__ float activate(float x) {
  if constexpr (activation == Activation::kSilu) return device::silu(x);
  if constexpr (activation == Activation::kGelu) return device::gelu(x);
  if constexpr (activation == Activation::kGeluTanh) return device::gelu_tanh(x);
  if constexpr (activation == Activation::kRelu) return device::relu(x);
  return x;
}

template <ElementwiseConfig config>
__global__ __launch_bounds__(256) void elementwise(const ElementwiseArguments arguments) {
  device::begin_overlapped();
  const int64_t row = blockIdx.x, column = int64_t{blockIdx.y} * 256 + threadIdx.x;
  if (column >= arguments.columns) return;
  const float a = load<config.first>(arguments.first, row * arguments.first_stride + column);
  float b = 0.f;
  if constexpr (config.operation == Elementwise::kGated || config.operation == Elementwise::kAdd)
    b = load<config.second>(arguments.second, row * arguments.second_stride + column);
  float out;
  if constexpr (config.operation == Elementwise::kGated) {
    out = rounded<config.output>(activate<config.activation>(a)) * b;
  } else if constexpr (config.operation == Elementwise::kActivate) {
    out = activate<config.activation>(a);
  } else if constexpr (config.operation == Elementwise::kAdd) {
    out = a + b;
  } else if constexpr (config.operation == Elementwise::kScale) {
    out = a * rounded<config.output>(arguments.number);
  } else {
    out = arguments.number * tanhf(a / arguments.number);
  }
  store<config.output>(arguments.output, row * arguments.output_stride + column, out);
}

}  // namespace tare::cuda_ops
