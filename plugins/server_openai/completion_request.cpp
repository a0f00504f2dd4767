#include "plugins/server_openai/completion_request.hpp"

#include <limits>

namespace tare::server {
namespace {

constexpr size_t kMostPrompts = 256;

void read_one(Fields& fields, const Json& json, const std::string& where, std::vector<Prompt>* out) {
  if (const auto* words = json.as<std::string>()) {
    out->emplace_back(*words);
    return;
  }
  const auto* list = json.as<JsonArray>();
  if (list == nullptr) return fields.expected(where, json, "a string or a list of token ids");
  std::vector<int32_t> ids(list->size());
  for (size_t i = 0; i < ids.size(); ++i)
    if (!fields.id(where, (*list)[i], i, &ids[i])) return;
  out->emplace_back(std::move(ids));
}

// A string, a list of strings, a list of ids, or a list of lists of ids.
void read_prompts(Fields& fields, std::vector<Prompt>* out) {
  fields.require("prompt");
  const Json* json = fields.find("prompt");
  if (json == nullptr) return;
  const auto* list = json->as<JsonArray>();
  if (list == nullptr || (!list->empty() && list->front().number())) return read_one(fields, *json, "prompt", out);
  if (list->empty() || list->size() > kMostPrompts)
    return fields.expected("prompt", *json, text("1 to ", kMostPrompts, " prompts"));
  for (size_t i = 0; i < list->size() && fields.ok(); ++i) read_one(fields, (*list)[i], text("prompt[", i, "]"), out);
}

}  // namespace

Refusal read_completion_request(const JsonObject& body, CompletionRequest* out) {
  constexpr int32_t kDefaultTokens = 16;  // OpenAI's
  Fields fields(body);
  read_generation_fields(fields, &out->generation);
  read_prompts(fields, &out->prompts);
  out->generation.max_tokens = kDefaultTokens;
  fields.integer("max_tokens", 1, std::numeric_limits<int32_t>::max(), &out->generation.max_tokens);
  fields.boolean("echo", &out->echo);
  fields.integer("logprobs", 0, 20, &out->logprobs);
  out->generation.sampling.logprobs = out->logprobs;
  fields.boolean("add_special_tokens", &out->add_special);
  const auto is_n = [&](const Json& json) {
    return json.as<int64_t>() && *json.as<int64_t>() == out->generation.choices;
  };
  fields.refuse("best_of", is_n, "the same number as n");
  fields.refuse(
      "suffix", [](const Json& json) { return json.as<std::string>() && json.as<std::string>()->empty(); },
      "an empty string");
  const size_t choices = out->prompts.size() * static_cast<size_t>(out->generation.choices);
  if (choices > kMostPrompts)
    fields.fail("n", text("n times the number of prompts is ", choices, ", expected at most ", kMostPrompts));
  return fields.finish();
}

}  // namespace tare::server
