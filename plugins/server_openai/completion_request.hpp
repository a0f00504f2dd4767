// The body of POST /v1/completions, read and checked; knows nothing of models. [any thread]
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "plugins/server_openai/generation_fields.hpp"

namespace tare::server {

using Prompt = std::variant<std::string, std::vector<int32_t>>;
struct CompletionRequest {
  GenerationFields generation;
  std::vector<Prompt> prompts;
  bool echo = false;
  int32_t logprobs = -1;  // -1: none
  bool add_special = true;
};
Refusal read_completion_request(const JsonObject& body, CompletionRequest* out);

}  // namespace tare::server
