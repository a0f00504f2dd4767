// What trained weights look like from a lossless code's side, measured and held against what models in the field show.
// Plain values; [any thread].
#pragma once
#include <string>
#include <vector>

#include "core/api/status.hpp"
#include "core/base/exponents.hpp"

namespace tare::synth {

struct MatrixStatistics {
  std::string name;
  ExponentCounts counts;
};
struct Statistics {
  // Means over matrices, weighted by their numbers.
  double entropy = 0;                    // bits of the exponent
  double outside_7 = 0, outside_15 = 0;  // share outside the best consecutive exponents
  std::vector<std::string> wide;         // matrices with more than 30 % outside the best 7
};
Statistics statistics_of(const std::vector<MatrixStatistics>& matrices);

// Entropy 2.62 to 2.70 bits; 2.7 to 4.3 % outside the best 7 exponents, 0.02 to 0.05 % outside the best 15 (Qwen3 0.6B
// to 8B, Granite 3.1, Llama 3.1, Mixtral as published by several authors of lossless codes, 2025 and 2026); exactly the
// matrices `wide` with more than 30 % outside 7. The first that is not so is named with what was found and expected.
Status check(const Statistics& found, const std::vector<std::string>& wide);

}  // namespace tare::synth
