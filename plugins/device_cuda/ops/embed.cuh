// embed/1 and logit_rows/1: rows gathered by number. One block a row, any number of threads. [sm_80 and up]
#pragma once
#include "jit/cuh/bf16.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"

namespace tare::cuda_ops {

__global__ void embed(const EmbedArguments arguments) {
  const uint16_t* from = arguments.table + int64_t{arguments.ids[blockIdx.x]} * arguments.input_stride;
  uint16_t* to = arguments.output + int64_t{blockIdx.x} * arguments.output_stride;
  for (int64_t i = threadIdx.x; i < arguments.columns; i += blockDim.x) to[i] = from[i];
}

}  // namespace tare::cuda_ops
