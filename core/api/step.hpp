// The facts of one step's batch: what every kernel sees beside its tensors, and no Program carries. Pointers are device
// addresses; the counts are the host's. Plain values. [engine thread]
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tare {

// How one row of logits becomes a token. Defaults: plain sampling at temperature 1 with nothing cut off.
// Order: logit_bias, repetition, frequency and presence penalties, then (temperature 0: greedy, ties to the lower id)
// temperature, top_k, top_p, min_p, draw. Random numbers: a counter-based function of (seed, choice, position).
struct SamplingRow {
  float temperature = 1, top_p = 1, min_p = 0;
  int32_t top_k = 0;  // 0: off
  float frequency_penalty = 0, presence_penalty = 0, repetition_penalty = 1;
  uint64_t seed = 0;
  int32_t choice = 0, position = 0;         // position of the token that is drawn
  int32_t logprobs = -1;                    // -1: none; n >= 0: of the drawn token and of the n most likely ones
  std::span<const int32_t> prompt, output;  // history: repetition looks at both, the other two at `output`
  std::span<const std::pair<int32_t, float>> bias;  // token id, added to its logit
};
struct TokenLogprob {
  int32_t id = 0;
  float logprob = 0;
};
struct SampledLogprobs {
  float drawn = 0;                // of the drawn token, before penalties' cut-offs (log softmax of the raw logits)
  std::vector<TokenLogprob> top;  // most likely first
};

// Pages of one state group for the sequences of this step: pages[sequence * stride + position / page_tokens]; -1 where
// a window has given a page back.
struct PageTable {
  const int32_t* pages = nullptr;
  int64_t stride = 0;
};

// Rows are the tokens of all sequences of the step, each sequence's rows together and in order of position.
struct StepView {
  int64_t num_tokens = 0, num_sequences = 0, num_logit_rows = 0;
  const int32_t* token_ids = nullptr;         // [num_tokens]
  const int32_t* positions = nullptr;         // [num_tokens]
  const int32_t* sequence_begin = nullptr;    // [num_sequences + 1]: first row of each sequence
  const int32_t* context_lengths = nullptr;   // [num_sequences]: tokens in the state after this step
  const int32_t* logit_row_tokens = nullptr;  // [num_logit_rows]: the row of x that each logit row is
  std::span<const PageTable> page_tables;     // by state group
  std::span<const SamplingRow> sampling;      // [num_logit_rows], host memory; empty: nothing is drawn
  std::span<SampledLogprobs> logprobs;        // [num_logit_rows], host memory; where a row asks for them
};

// One layer's share of its group's pages: part p of the token in slot s of page b lies at
//   base + b * page_bytes + parts[p].offset + s * parts[p].token_bytes.
struct StatePart {
  int64_t offset = 0, token_bytes = 0;
};
struct StateView {
  std::byte* base = nullptr;
  int64_t page_bytes = 0;
  int32_t page_tokens = 0;
  int32_t group = 0;  // index into StepView::page_tables
  std::span<const StatePart> parts;
};

}  // namespace tare
