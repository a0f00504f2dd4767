#include "core/engine/step_input.hpp"

namespace tare {

StepView view_step(const StepInput& input, StepOutput& output, StepViewStorage& storage) {
  storage.page_tables.clear();
  for (const PageTableInput& table : input.page_tables)
    storage.page_tables.push_back({.pages = table.pages.data(), .stride = table.stride});
  storage.sampling.clear();
  for (const SamplingInput& s : input.sampling)
    storage.sampling.push_back({.temperature = s.temperature,
                                .top_p = s.top_p,
                                .min_p = s.min_p,
                                .top_k = s.top_k,
                                .frequency_penalty = s.frequency_penalty,
                                .presence_penalty = s.presence_penalty,
                                .repetition_penalty = s.repetition_penalty,
                                .seed = s.seed,
                                .choice = s.choice,
                                .position = s.position,
                                .logprobs = s.logprobs,
                                .prompt = s.prompt,
                                .output = s.output,
                                .bias = s.bias});
  output.ids.assign(input.logit_row_tokens.size(), -1);
  output.logprobs.assign(input.logit_row_tokens.size(), {});
  return {.num_tokens = input.num_tokens(),
          .num_sequences = input.num_sequences(),
          .num_logit_rows = input.num_logit_rows(),
          .token_ids = input.token_ids.data(),
          .positions = input.positions.data(),
          .sequence_begin = input.sequence_begin.data(),
          .context_lengths = input.context_lengths.data(),
          .logit_row_tokens = input.logit_row_tokens.data(),
          .page_tables = storage.page_tables,
          .sampling = storage.sampling,
          .logprobs = output.logprobs};
}

}  // namespace tare
