#include "plugins/server_openai/chat_request.hpp"

#include <limits>

#include "plugins/server_openai/json_writer.hpp"
#include "plugins/server_openai/messages.hpp"

namespace tare::server {
namespace {

bool is_empty_list(const Json& json) { return json.as<JsonArray>() && json.as<JsonArray>()->empty(); }
bool is_false(const Json& json) { return json.as<bool>() && !*json.as<bool>(); }
auto is_word(std::string_view word) {
  return [word](const Json& json) { return json.as<std::string>() && *json.as<std::string>() == word; };
}
bool is_text_only(const Json& json) {
  const auto* list = json.as<JsonArray>();
  return list != nullptr && list->size() == 1 && is_word("text")(list->front());
}
bool is_text_format(const Json& json) {
  const auto* object = json.as<JsonObject>();
  const Json* type = object != nullptr ? find(*object, "type") : nullptr;
  return type != nullptr && is_word("text")(*type);
}
bool is_plain_tier(const Json& json) { return is_word("auto")(json) || is_word("default")(json); }

void read_limits(Fields& fields, int32_t* out) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  fields.integer("max_tokens", 1, kMost, out);
  int32_t newer = 0;
  fields.integer("max_completion_tokens", 1, kMost, &newer);
  if (newer == 0) return;
  if (*out != 0 && *out != newer)
    fields.fail("max_completion_tokens", text("max_completion_tokens is ", newer, " and max_tokens is ", *out,
                                              ", expected one of them or the same number"));
  *out = newer;
}

// What OpenAI has and this server does not, yet: named, never silently left out.
void refuse_what_is_not_there(Fields& fields) {
  fields.refuse("tools", is_empty_list, "an empty list");
  fields.refuse("tool_choice", is_word("none"), "'none'");
  fields.refuse("functions", is_empty_list, "an empty list");
  fields.refuse("function_call", is_word("none"), "'none'");
  fields.refuse("response_format", is_text_format, "{\"type\": \"text\"}");
  fields.refuse("modalities", is_text_only, "[\"text\"]");
  fields.refuse("store", is_false, "false");
  fields.refuse("service_tier", is_plain_tier, "'auto', 'default'");
  for (const char* name : {"audio", "prediction", "parallel_tool_calls", "web_search_options", "reasoning_effort",
                           "verbosity", "moderation"})
    fields.refuse(name);
  fields.accept_object("metadata");
  for (const char* name : {"safety_identifier", "prompt_cache_key", "prompt_cache_retention"})
    fields.accept_string(name);
}

}  // namespace

void read_conversation(Fields& fields, Conversation* out) {
  if (const JsonArray* messages = fields.array("messages"))
    if (const Refusal refusal = read_messages(*messages, &out->messages)) fields.fail(refusal->param, refusal->message);
  fields.boolean("add_generation_prompt", &out->add_generation_prompt);
  if (const JsonObject* arguments = fields.object("chat_template_kwargs")) {
    for (const char* taken : {"messages", "add_generation_prompt"})
      if (find(*arguments, taken) != nullptr)
        fields.fail("chat_template_kwargs",
                    text("chat_template_kwargs holds '", taken, "', expected it as a field of the request"));
    out->template_arguments = *arguments;
  }
}

Refusal read_chat_request(const JsonObject& body, ChatRequest* out) {
  Fields fields(body);
  read_generation_fields(fields, &out->generation);
  fields.require("messages");
  read_conversation(fields, &out->conversation);
  read_limits(fields, &out->generation.max_tokens);
  fields.boolean("logprobs", &out->logprobs);
  fields.integer("top_logprobs", 0, 20, &out->top_logprobs);
  if (out->top_logprobs > 0 && !out->logprobs)
    fields.fail("top_logprobs", text("top_logprobs is ", out->top_logprobs, ", expected \"logprobs\": true beside it"));
  if (out->logprobs) out->generation.sampling.logprobs = out->top_logprobs;
  refuse_what_is_not_there(fields);
  return fields.finish();
}

std::string template_context(const Conversation& conversation) {
  JsonWriter context;
  context.begin_object();
  context.key("messages").raw(to_text(conversation.messages));
  context.key("add_generation_prompt").boolean(conversation.add_generation_prompt);
  for (const JsonMember& argument : conversation.template_arguments)
    context.key(argument.name).raw(to_text(argument.value));
  context.end_object();
  return context.take();
}

}  // namespace tare::server
