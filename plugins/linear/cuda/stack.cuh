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

// Which block of how many this is: of a launch for one matrix, asked for where it is wanted.
struct WholeGrid {
  __device__ __forceinline__ unsigned block() const { return blockIdx.x; }
  __device__ __forceinline__ unsigned blocks() const { return gridDim.x; }
};

// Whose block this is, and which of that matrix's blocks.
struct StackPlace {
  int part;
  __device__ __forceinline__ explicit StackPlace(const StackedArguments& stack) : part(0) {
    while (part + 1 < kMostStacked && static_cast<int>(blockIdx.x) >= stack.first_block[part + 1]) ++part;
    block_ = blockIdx.x - stack.first_block[part];
    blocks_ = stack.first_block[part + 1] - stack.first_block[part];
  }
  __device__ __forceinline__ unsigned block() const { return block_; }
  __device__ __forceinline__ unsigned blocks() const { return blocks_; }

 private:
  unsigned block_, blocks_;
};

}  // namespace tare::linear_cuda
