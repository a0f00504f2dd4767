// The passes over a row of logits that cost time. Each has a plain version and one for AVX2, chosen at run time, with
// the same results to the bit: maxima and integer sums know no order. [any thread]
#pragma once
#include <cstdint>
#include <limits>
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

// How logits become weights: weight((largest - x) * factor).
struct Scale {
  float largest = 0, factor = 1;
};
// Which tokens are left: those not after `last` in order of likelihood, with a weight of at least `least`. The default
// leaves all.
struct Cut {
  Candidate last{-std::numeric_limits<float>::infinity(), std::numeric_limits<int32_t>::max()};
  uint64_t least = 0;
};
// Sum of the weights that `cut` leaves. `first_id`: the id of x[0], a multiple of kBlock.
uint64_t sum_weights(std::span<const float> x, int32_t first_id, Scale scale, const Cut& cut) noexcept;

// The `count` first in order of likelihood, sorted.
std::vector<Candidate> most_likely(std::span<const float> x, size_t count);

}  // namespace tare::sampling
