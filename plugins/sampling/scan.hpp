// The passes over a row of logits that cost time, in loops that compilers vectorise, compiled for AVX2 too and chosen
// at run time. Every version gives the same bits: maxima and integer sums know no order. [any thread]
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "plugins/sampling/sample.hpp"

namespace tare::sampling {

inline constexpr size_t kBlock = 1024;  // elements; a row's sums and maxima are found block by block

struct Largest {
  float logit = 0;
  int32_t id = 0;     // the lowest one of that logit
  bool good = false;  // neither nan nor +inf anywhere, and not all -inf
};
Largest find_largest(std::span<const float> x) noexcept;

// Sum of weight((largest - x) · factor) over the elements whose weight is at least `least`.
uint64_t sum_weights(std::span<const float> x, float largest, float factor, uint64_t least) noexcept;

// The `count` first in order of likelihood, sorted.
std::vector<Candidate> most_likely(std::span<const float> x, size_t count);

}  // namespace tare::sampling
