// What chat and completion requests have in common: the fields that say how to generate. [any thread]
#pragma once
#include <string>
#include <vector>

#include "core/api/engine.hpp"
#include "plugins/server_openai/fields.hpp"

namespace tare::server {

struct GenerationFields {
  std::string model;
  bool stream = false, include_usage = false;
  int32_t choices = 1;          // `n`
  int32_t max_tokens = 0;       // 0: up to the context's end
  SamplingParameters sampling;  // logprobs are set by the request's own reader; what `asked` has too is set by it
  SamplingDefaults asked;       // what the request itself says; the model's defaults stand in for the rest
  std::vector<std::string> stop;
  std::vector<int32_t> stop_ids;
  bool ignore_eos = false, skip_special = true;
};
// Reads them, and takes or refuses the rest of OpenAI's fields that both requests share.
void read_generation_fields(Fields& fields, GenerationFields* out);

}  // namespace tare::server
