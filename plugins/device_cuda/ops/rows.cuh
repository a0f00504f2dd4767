// logit_rows/1 and concat/1: rows copied as they are. One block a row, any number of threads. [sm_80 and up]
#pragma once
#include "jit/cuh/launch.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"

namespace tare::cuda_ops {

__global__ void gather(const GatherArguments arguments) {
  device::begin_overlapped();
  const uint16_t* from = arguments.input + int64_t{arguments.rows[blockIdx.x]} * arguments.input_stride;
  uint16_t* to = arguments.output + int64_t{blockIdx.x} * arguments.output_stride;
  for (int64_t i = threadIdx.x; i < arguments.units; i += blockDim.x) to[i] = from[i];
}

__global__ void concat(const ConcatArguments arguments) {
  device::begin_overlapped();
  const int64_t row = blockIdx.x;
  const uint16_t* first = arguments.first + row * arguments.first_stride;
  const uint16_t* second = arguments.second + row * arguments.second_stride;
  uint16_t* to = arguments.output + row * arguments.output_stride;
  for (int64_t i = threadIdx.x; i < arguments.first_units; i += blockDim.x) to[i] = first[i];
  for (int64_t i = threadIdx.x; i < arguments.second_units; i += blockDim.x) to[arguments.first_units + i] = second[i];
}

}  // namespace tare::cuda_ops
