#include "plugins/server_openai/logprobs.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "plugins/server_openai/utf8.hpp"

namespace tare::server {
namespace {

std::string token_name(int32_t id, const TextModel* model) {
  if (model != nullptr) {
    auto name = model->token_text(id);
    // Half a character is no text; two such tokens then have one name.
    if (name.ok()) return is_utf8(*name) ? std::move(*name) : repaired_utf8(*name);
  }
  return text("token_id:", id);
}

// JSON has no infinity; OpenAI's own lowest value stands for it.
float finite(float logprob) { return std::isfinite(logprob) ? logprob : -9999.0f; }

void write_token(int32_t id, float logprob, const TextModel* model, JsonWriter& to) {
  to.member("token", token_name(id, model)).key("logprob").number(finite(logprob)).key("bytes");
  if (model == nullptr) {
    to.null();
    return;
  }
  to.begin_array();
  if (!model->is_special(id))
    for (char byte : model->token_bytes(id)) to.number(int64_t{static_cast<unsigned char>(byte)});
  to.end_array();
}

std::span<const TokenLogprob> first(const std::vector<TokenLogprob>& all, int32_t most) {
  return {all.data(), std::min(all.size(), static_cast<size_t>(std::max(most, 0)))};
}

}  // namespace

void write_chat_logprobs(std::span<const EmittedToken> tokens, int32_t top, const TextModel* model, JsonWriter& to) {
  to.begin_object().key("content").begin_array();
  for (const EmittedToken& token : tokens) {
    to.begin_object();
    write_token(token.id, token.logprobs.drawn, model, to);
    to.key("top_logprobs").begin_array();
    for (const TokenLogprob& other : first(token.logprobs.top, top)) {
      to.begin_object();
      write_token(other.id, other.logprob, model, to);
      to.end_object();
    }
    to.end_array().end_object();
  }
  to.end_array().member_null("refusal").end_object();
}

void write_completion_logprobs(std::span<const EmittedToken> tokens, int32_t top, const TextModel* model,
                               int64_t* offset, JsonWriter& to) {
  std::vector<std::string> names;
  for (const EmittedToken& token : tokens) names.push_back(token_name(token.id, model));
  to.begin_object().key("tokens").begin_array();
  for (const std::string& name : names) to.string(name);
  to.end_array().key("token_logprobs").begin_array();
  for (const EmittedToken& token : tokens) to.number(finite(token.logprobs.drawn));
  to.end_array().key("top_logprobs").begin_array();
  for (size_t i = 0; i < tokens.size(); ++i) {
    // An object by text: of tokens that share a text (halves of characters) the likeliest stays.
    std::vector<std::string> seen;
    const auto put = [&](std::string name, float logprob) {
      if (std::find(seen.begin(), seen.end(), name) != seen.end()) return;
      to.key(name).number(finite(logprob));
      seen.push_back(std::move(name));
    };
    to.begin_object();
    for (const TokenLogprob& other : first(tokens[i].logprobs.top, top))
      put(token_name(other.id, model), other.logprob);
    put(names[i], tokens[i].logprobs.drawn);
    to.end_object();
  }
  to.end_array().key("text_offset").begin_array();
  for (size_t i = 0; i < tokens.size(); ++i) {
    to.number(*offset);
    const bool in_text = model != nullptr && !model->is_special(tokens[i].id);
    if (in_text) *offset += characters(names[i]);
  }
  to.end_array().end_object();
}

}  // namespace tare::server
