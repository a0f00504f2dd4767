// The body of POST /v1/chat/completions, read and checked; knows nothing of models. [any thread]
#pragma once
#include <string>

#include "plugins/server_openai/generation_fields.hpp"

namespace tare::server {

// What a chat template is given. Messages are checked and plain: {"role", "content": text, ...}.
struct Conversation {
  Json messages;
  bool add_generation_prompt = true;
  JsonObject template_arguments;  // chat_template_kwargs
};
struct ChatRequest {
  GenerationFields generation;
  Conversation conversation;
  bool logprobs = false;
  int32_t top_logprobs = 0;
};
Refusal read_chat_request(const JsonObject& body, ChatRequest* out);
// The three fields of a conversation, for chat and /tokenize.
void read_conversation(Fields& fields, Conversation* out);
// The context of the template as JSON text.
std::string template_context(const Conversation& conversation);

}  // namespace tare::server
