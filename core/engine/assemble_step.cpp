#include "core/engine/assemble_step.hpp"

#include <algorithm>

namespace tare {

void add_rows(const Slice& slice, const SamplingState& sampling, StepInput& step) {
  const Sequence& sequence = *slice.sequence;
  for (int32_t position = sequence.stored; position < sequence.stored + slice.rows; ++position) {
    step.token_ids.push_back(sequence.tokens[static_cast<size_t>(position)]);
    step.positions.push_back(position);
  }
  step.sequence_begin.push_back(static_cast<int32_t>(step.token_ids.size()));
  step.context_lengths.push_back(sequence.stored + slice.rows);
  if (!slice.draws()) return;
  step.logit_row_tokens.push_back(static_cast<int32_t>(step.token_ids.size()) - 1);
  const SamplingParameters& p = sampling.parameters;
  SamplingInput row{.temperature = p.temperature,
                    .top_p = p.top_p,
                    .min_p = p.min_p,
                    .top_k = p.top_k,
                    .frequency_penalty = p.frequency_penalty,
                    .presence_penalty = p.presence_penalty,
                    .repetition_penalty = p.repetition_penalty,
                    .seed = p.seed.value_or(0),
                    .choice = sampling.choice,
                    .position = static_cast<int32_t>(sequence.tokens.size()),
                    .logprobs = p.logprobs,
                    .prompt = {},
                    .output = {},
                    .bias = p.logit_bias};
  const auto output = sequence.tokens.begin() + sequence.prompt_tokens;
  if (sampling.reads_prompt()) row.prompt.assign(sequence.tokens.begin(), output);
  if (sampling.reads_output()) row.output.assign(output, sequence.tokens.end());
  step.sampling.push_back(std::move(row));
}

void add_page_tables(std::span<const Slice> slices, size_t groups, StepInput& step) {
  for (size_t group = 0; group < groups; ++group) {
    size_t stride = 0;
    for (const Slice& slice : slices) stride = std::max(stride, slice.sequence->pages[group].size());
    PageTableInput table{.stride = static_cast<int32_t>(stride), .pages = {}};
    table.pages.assign(stride * slices.size(), -1);
    for (size_t s = 0; s < slices.size(); ++s)
      std::ranges::copy(slices[s].sequence->pages[group], table.pages.begin() + static_cast<ptrdiff_t>(s * stride));
    step.page_tables.push_back(std::move(table));
  }
}

}  // namespace tare
