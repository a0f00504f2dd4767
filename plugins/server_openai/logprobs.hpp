// Log probabilities in OpenAI's two shapes. [any thread]
#pragma once
#include <span>

#include "core/api/engine.hpp"
#include "plugins/server_openai/json_writer.hpp"

namespace tare::server {

// Chat: {"content": [{token, logprob, bytes, top_logprobs}], "refusal": null}. A special token has no bytes: it adds
// nothing to the text. `model` may be null: tokens are then named by id.
void write_chat_logprobs(std::span<const EmittedToken> tokens, int32_t top, const TextModel* model, JsonWriter& to);
// Completions: {tokens, token_logprobs, top_logprobs, text_offset}. `offset` in characters of the choice's text, moved
// on.
void write_completion_logprobs(std::span<const EmittedToken> tokens, int32_t top, const TextModel* model,
                               int64_t* offset, JsonWriter& to);

}  // namespace tare::server
