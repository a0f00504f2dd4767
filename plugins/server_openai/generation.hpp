// GenerationPlan: a request that was understood: what the engine gets and what the answer needs. Plain value.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/api/engine.hpp"

namespace tare::server {

enum class AnswerKind : uint8_t { chat, completion };

struct GenerationPlan {
  AnswerKind kind = AnswerKind::chat;
  std::string id, model;    // "chatcmpl-…"
  int64_t created = 0;      // seconds since 1970
  std::string fingerprint;  // `system_fingerprint`
  const TextModel* text = nullptr;
  bool stream = false, include_usage = false, logprobs = false;
  int32_t top_logprobs = 0;
  std::vector<GenerateRequest> requests;  // one a choice, in the order of `index`
  std::vector<std::string> echo;          // by choice: text that stands before what is generated; empty: none
  int64_t prompt_tokens = 0;              // of all prompts, each counted once whatever `n` is
};

}  // namespace tare::server
