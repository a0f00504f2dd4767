// StepCase: what a step does whose time is predicted: how many sequences, tokens of each, and positions before them.
// Plain values, [any thread].
#pragma once
#include <cstdint>

#include "core/program/plan.hpp"

namespace tare {

constexpr int64_t kPredictedContext = 512;  // positions that each sequence has when it is answered

struct StepCase {
  int64_t tokens = 1, sequences = 1, logit_rows = 1;
  int64_t context = kPredictedContext;  // of each sequence, before the step
  Bucket bucket() const noexcept { return {tokens, sequences, logit_rows}; }
  int64_t tokens_each() const noexcept { return (tokens + sequences - 1) / sequences; }
};
// Of up to `most_sequences` rows: as many sequences, a token each. Above: the first tokens of one prompt, whose last
// row alone becomes a token.
inline StepCase case_of(int64_t rows, int64_t most_sequences) noexcept {
  if (rows <= most_sequences) return {rows, rows, rows, kPredictedContext};
  return {rows, 1, 1, 0};
}

}  // namespace tare
