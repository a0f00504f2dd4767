// StepInput and StepOutput: one step of a model as plain values, with nothing in them that points elsewhere, so that
// another thread, process or rank can take the step (wire.hpp has the byte form). StepView, what kernels see, is built
// from a StepInput. Thread rule: plain values, [any thread].
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/api/engine.hpp"
#include "core/api/step.hpp"

namespace tare {

// SamplingRow with its data owned. History is filled only where a penalty reads it.
struct SamplingInput {
  float temperature = 1, top_p = 1, min_p = 0;
  int32_t top_k = 0;
  float frequency_penalty = 0, presence_penalty = 0, repetition_penalty = 1;
  uint64_t seed = 0;
  int32_t choice = 0, position = 0;
  int32_t logprobs = -1;
  std::vector<int32_t> prompt, output;
  std::vector<std::pair<int32_t, float>> bias;
  bool operator==(const SamplingInput&) const = default;
};

// pages[sequence * stride + position / page_tokens]; -1: no page there (given back by a window, or not reached).
struct PageTableInput {
  int32_t stride = 0;
  std::vector<int32_t> pages;  // [num_sequences * stride]
  bool operator==(const PageTableInput&) const = default;
};

// Rows are the tokens of all sequences of the step: each sequence's rows together, in order of position and without a
// gap. A sequence's state before the step holds exactly the positions below its first row's.
struct StepInput {
  std::vector<int32_t> token_ids, positions;  // [num_tokens]
  std::vector<int32_t> sequence_begin{0};     // [num_sequences + 1]
  std::vector<int32_t> context_lengths;       // [num_sequences]: tokens in the state after this step
  std::vector<int32_t> logit_row_tokens;      // [num_logit_rows]; empty while all sequences are in mid-prompt
  std::vector<PageTableInput> page_tables;    // by state group
  std::vector<SamplingInput> sampling;        // [num_logit_rows]

  int64_t num_tokens() const noexcept { return static_cast<int64_t>(token_ids.size()); }
  int64_t num_sequences() const noexcept { return static_cast<int64_t>(context_lengths.size()); }
  int64_t num_logit_rows() const noexcept { return static_cast<int64_t>(logit_row_tokens.size()); }
  bool operator==(const StepInput&) const = default;
};

struct StepOutput {
  std::vector<int32_t> ids;               // [num_logit_rows]: the tokens drawn
  std::vector<SampledLogprobs> logprobs;  // [num_logit_rows]; filled where the row asked
};

// The arrays behind a StepView's spans that StepInput does not have in that form. Reused from step to step.
struct StepViewStorage {
  std::vector<PageTable> page_tables;
  std::vector<SamplingRow> sampling;
};
// A view of `input` with host pointers. An executor whose device does not read host memory replaces token_ids ..
// logit_row_tokens and page_tables by device addresses. Sizes `output` (ids and logprobs, one a logit row). Valid as
// long as all three arguments are unchanged.
StepView view_step(const StepInput& input, StepOutput& output, StepViewStorage& storage);

}  // namespace tare
