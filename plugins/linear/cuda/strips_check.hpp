// Are these bytes a matrix in records (strips.hpp) that kernels may be handed? The head, the sizes that follow from it,
// and every record's count of escapes and place in the overflow list. Pure, [any thread].
#pragma once
#include <span>

#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda {

// `densest`: the densest code that the layout has.
Verdict check_strips(const WeightInfo& weight, WeightCode densest, std::span<const std::byte> in);

}  // namespace tare::linear_cuda
