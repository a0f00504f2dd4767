// Answer: turns the engine's events for one request into the response: one JSON body, or a stream of server-sent
// events. Knows nothing of sockets. One thread.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "plugins/server_openai/api_error.hpp"
#include "plugins/server_openai/generation.hpp"

namespace tare::server {

class Answer {
 public:
  explicit Answer(GenerationPlan plan);

  const GenerationPlan& plan() const noexcept { return plan_; }
  // The engine's requests, one a choice; to be taken once.
  std::vector<GenerateRequest> take_requests() { return std::exchange(plan_.requests, {}); }
  // The stream's first bytes: each choice's role, or its echo.
  std::string begin();
  // Adds what happened to a choice. Returns the stream's next bytes; nothing for a plain answer.
  std::string take(size_t choice, const GenerateEvent& event);
  // Every choice has ended, or one failed: nothing more is taken.
  bool finished() const noexcept { return failure_.has_value() || open_ == 0; }
  const Refusal& failure() const noexcept { return failure_; }
  // The stream's last bytes, [DONE] included: usage where it was asked for, or the error.
  std::string end() const;
  // The plain answer, or the error as a response.
  HttpResponse response() const;

 private:
  struct Choice {
    std::string text;                  // plain answers only
    std::vector<EmittedToken> tokens;  // plain answers with log probabilities only
    FinishReason finish = FinishReason::none;
    int64_t output_tokens = 0;
    int64_t offset = 0;  // characters of text so far
  };
  std::string event(size_t choice, std::string_view text, const std::vector<EmittedToken>& tokens, FinishReason finish);

  GenerationPlan plan_;
  std::vector<Choice> choices_;
  size_t open_;
  Refusal failure_;
};

}  // namespace tare::server
