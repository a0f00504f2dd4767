// How a product's work falls into equal pieces, and what that says of its time before anything was measured.
// Pure: [any thread].
#pragma once
#include <span>

#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda {

struct Work {
  int64_t pieces = 0;
  int32_t blocks = 1;     // that run one piece together
  bool walks = true;      // may they run several?
  bool resident = false;  // do blocks wait for each other?
};
Work work_of(const AnyConfig& config, const MatrixShape& matrix, int32_t tokens) noexcept;

// Cycles that matrices in one launch take on a Hopper GPU once they run, roughly: rounds of pieces by the cycles of a
// step, as measured on an H100 (docs/benchmarks). Only to compare cluster and wide configs, for matrices of several
// leaves; 0 for anything else.
double predicted_cycles(const AnyConfig& config, std::span<const MatrixShape> matrices, int32_t tokens,
                        int32_t multiprocessors) noexcept;

}  // namespace tare::linear_cuda
