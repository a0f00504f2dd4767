// How a product's work falls into equal pieces, and what that says of its time before anything was measured.
// Pure: [any thread].
#pragma once
#include <span>

#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda {

struct Work {
  int64_t pieces = 0;
  int32_t blocks = 1;       // that run one piece together
  bool walks = true;        // may they run several?
  bool resident = false;    // do blocks wait for each other?
  int32_t rest_shares = 1;  // more: blocks that run one piece of the last round share it so
};
Work work_of(const AnyConfig& config, const MatrixShape& matrix, int32_t tokens) noexcept;

// How often the groups of `blocks` of a launch run a piece each: `whole` times, and then once more a part of one.
struct Rounds {
  int64_t whole = 1;
  bool rest = false;
};
// Groups of blocks that a matrix needs to be done in so many rounds; with `rest`, those of the last share its pieces.
int64_t groups_for(const Work& work, const Rounds& rounds) noexcept;
// The fewest rounds in which matrices of one config are done by at most `limit` groups together; where they do not walk
// or that cannot be, as few as there are.
Rounds fewest_rounds(std::span<const Work> works, int64_t limit) noexcept;

// Cycles that matrices in one launch take on a Hopper GPU once they run, roughly: rounds of pieces by the cycles of a
// step, as measured on an H100 (docs/benchmarks). Only to compare cluster and wide configs, for matrices of several
// leaves; 0 for anything else.
double predicted_cycles(const AnyConfig& config, std::span<const MatrixShape> matrices, int32_t tokens,
                        int32_t multiprocessors) noexcept;

}  // namespace tare::linear_cuda
