// Which configurations are worth trying for a matrix and a number of tokens: the tuner's space, pruned by what was
// measured to lose. Also the order and leaves that a matrix gets when nobody has tuned it. Pure: [any thread].
#pragma once
#include <vector>

#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda {

// Strips per block and leaves for an untuned matrix of that size on a device with `multiprocessors`: tall matrices fill
// the device with rows alone (one leaf); others share each strip among four groups of K.
struct Placement {
  int32_t strips_per_block = 4;
  int32_t leaves = 1;
};
Placement choose_placement(int32_t rows, int32_t columns, int32_t multiprocessors);

inline constexpr int32_t kMostStripTokens = 32;  // the best up to there are strips, which the catalogue orders

// All of them pass accepts(); best guess first; never empty: the portable kernel takes every problem.
std::vector<AnyConfig> candidates(const MatrixShape& matrix, int32_t tokens, int32_t multiprocessors,
                                  std::string_view architecture);
// For gate and up, both of that shape, in one launch with the activation between them; best guess first; may be empty.
std::vector<AnyConfig> gated_candidates(const MatrixShape& matrix, int32_t tokens, int32_t multiprocessors,
                                        std::string_view architecture);

}  // namespace tare::linear_cuda
