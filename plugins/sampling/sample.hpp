// sample/1 for one row: a row of logits becomes a token. Defined in README.md; `reference` is the definition written
// down, `fast` gives the same tokens and log probabilities, bit for bit. [any thread]
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/api/status.hpp"
#include "core/api/step.hpp"

namespace tare::sampling {

// The drawn id. Fills `logprobs` when the row asks for them. Refuses logits that are nan or +inf, rows of nothing but
// -inf, and history or bias ids outside the vocabulary, each in one sentence.
Result<int32_t> reference(std::span<const float> logits, const SamplingRow& row, SampledLogprobs& logprobs);
Result<int32_t> fast(std::span<const float> logits, const SamplingRow& row, SampledLogprobs& logprobs);

// A token's place in the order of likelihood: larger logits first, of equal ones the lower id.
struct Candidate {
  float logit = 0;
  int32_t id = 0;
  friend constexpr bool operator<(const Candidate& a, const Candidate& b) noexcept {  // comes before
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  }
};

}  // namespace tare::sampling
