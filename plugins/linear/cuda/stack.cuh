// Several matrices over the same activations in one launch: blocks [first_block[p], first_block[p + 1]) take matrix p.
// [device]
#pragma once
#include "jit/cuh/copy.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/runs.cuh"

namespace tare::linear_cuda {

struct StackedMaps {
  RecordMaps part[kMostStacked];
};
struct StackedOutputs {
  device::TensorMap part[kMostStacked];
};

// Whose block this is, and which of that matrix's blocks.
struct StackPlace {
  int part, block, blocks;
  __device__ __forceinline__ explicit StackPlace(const StackedArguments& stack) : part(0) {
    while (part + 1 < kMostStacked && static_cast<int>(blockIdx.x) >= stack.first_block[part + 1]) ++part;
    block = static_cast<int>(blockIdx.x) - stack.first_block[part];
    blocks = stack.first_block[part + 1] - stack.first_block[part];
  }
};

}  // namespace tare::linear_cuda
