// From a request that was read to what the engine gets: the model found, the template rendered, the text encoded, the
// length checked. [any thread]
#pragma once
#include <span>

#include "plugins/server_openai/chat_request.hpp"
#include "plugins/server_openai/completion_request.hpp"
#include "plugins/server_openai/generation.hpp"

namespace tare::server {

// The model of that name; a refusal with 404 otherwise. An empty name is the first model's where `may_be_empty`.
Refusal find_model(std::span<const ServedModel> models, std::string_view name, bool may_be_empty, ServedModel* out);
Refusal encode_text(const ServedModel& model, std::string_view prompt, bool add_special, std::vector<int32_t>* out);
Refusal encode_conversation(const ServedModel& model, const Conversation& conversation, std::vector<int32_t>* out);

// `out`: everything but id, created and fingerprint.
Refusal prepare_chat(const ServedModel& model, ChatRequest request, GenerationPlan* out);
Refusal prepare_completion(const ServedModel& model, CompletionRequest request, GenerationPlan* out);

}  // namespace tare::server
