// The layouts "w12/cpu-tiles" and "w11/cpu-tiles" (coded.hpp). Two passes: a survey counts exponents, then each matrix
// gets the densest code that pays for it: w11's layout falls back to the split byte, and both to plain tiles. Without a
// survey encode() writes plain tiles. [any thread].
#pragma once
#include <memory>

#include "core/api/kernel.hpp"
#include "plugins/linear/coded.hpp"

namespace tare::linear {

// Above so many escapes a code costs more time than its bytes save.
constexpr double kMostSplitEscapes = 0.015, kMostTripleEscapes = 0.10;

std::unique_ptr<Layout> make_w12_layout();
std::unique_ptr<Layout> make_w11_layout();

}  // namespace tare::linear
