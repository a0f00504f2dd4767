#include "plugins/server_openai/answer.hpp"

#include "plugins/server_openai/json_writer.hpp"
#include "plugins/server_openai/logprobs.hpp"
#include "plugins/server_openai/utf8.hpp"

namespace tare::server {
namespace {

std::string sse(const std::string& json) { return "data: " + json + "\n\n"; }

void write_finish(FinishReason finish, JsonWriter& to) {
  to.key("finish_reason");
  if (finish == FinishReason::none) {
    to.null();
  } else {
    to.string(finish == FinishReason::length ? "length" : "stop");
  }
}

void write_head(const GenerationPlan& plan, std::string_view object, JsonWriter& to) {
  to.member("id", plan.id).member("object", object).member("created", plan.created).member("model", plan.model);
  to.member("system_fingerprint", plan.fingerprint);
}

void write_usage(int64_t prompt_tokens, int64_t output_tokens, JsonWriter& to) {
  to.key("usage").begin_object();
  to.member("prompt_tokens", prompt_tokens).member("completion_tokens", output_tokens);
  to.member("total_tokens", prompt_tokens + output_tokens).end_object();
}

std::string_view chunk_object(const GenerationPlan& plan) {
  return plan.kind == AnswerKind::chat ? "chat.completion.chunk" : "text_completion";
}

}  // namespace

Answer::Answer(GenerationPlan plan) : plan_(std::move(plan)), choices_(plan_.requests.size()), open_(choices_.size()) {
  plan_.echo.resize(choices_.size());
  // With the prompt's log probabilities its tokens are the first, and their offsets begin at the text's start.
  for (size_t i = 0; i < choices_.size(); ++i)
    if (!plan_.requests[i].echo_logprobs) choices_[i].offset = characters(plan_.echo[i]);
}

std::string Answer::event(size_t index, std::string_view text, const std::vector<EmittedToken>& tokens,
                          FinishReason finish) {
  JsonWriter to;
  to.begin_object();
  write_head(plan_, chunk_object(plan_), to);
  to.key("choices").begin_array().begin_object().member("index", static_cast<int64_t>(index));
  const bool last = finish != FinishReason::none;
  if (plan_.kind == AnswerKind::chat) {
    to.key("delta").begin_object();
    if (!last) to.member("content", text);
    to.end_object();
  } else {
    to.member("text", text);
  }
  to.key("logprobs");
  if (!plan_.logprobs || last) {
    to.null();
  } else if (plan_.kind == AnswerKind::chat) {
    write_chat_logprobs(tokens, plan_.top_logprobs, plan_.text, to);
  } else {
    write_completion_logprobs(tokens, plan_.top_logprobs, plan_.text, &choices_[index].offset, to);
  }
  write_finish(finish, to);
  to.end_object().end_array();
  if (plan_.include_usage) to.member_null("usage");
  to.end_object();
  return sse(to.take());
}

std::string Answer::begin() {
  std::string out;
  for (size_t i = 0; i < choices_.size(); ++i) {
    if (plan_.kind == AnswerKind::completion) {
      if (!plan_.echo[i].empty()) out += event(i, plan_.echo[i], {}, FinishReason::none);
      continue;
    }
    JsonWriter to;
    to.begin_object();
    write_head(plan_, chunk_object(plan_), to);
    to.key("choices").begin_array().begin_object().member("index", static_cast<int64_t>(i));
    to.key("delta")
        .begin_object()
        .member("role", "assistant")
        .member("content", "")
        .member_null("refusal")
        .end_object();
    to.member_null("logprobs").member_null("finish_reason").end_object().end_array();
    if (plan_.include_usage) to.member_null("usage");
    to.end_object();
    out += sse(to.take());
  }
  return out;
}

std::string Answer::take(size_t index, const GenerateEvent& event) {
  Choice& choice = choices_[index];
  if (finished() || choice.finish != FinishReason::none) return {};
  choice.output_tokens = event.output_tokens;
  if (event.finish == FinishReason::error || event.finish == FinishReason::cancelled) {
    failure_ = event.finish == FinishReason::error
                   ? to_error(event.error)
                   : to_error({Code::cancelled, "the request was cancelled by the server"});
    return {};
  }
  std::vector<EmittedToken> tokens;
  if (plan_.logprobs) tokens = event.tokens;
  // A stop id gives no text, so it has no place among the text's tokens.
  const bool stop_id = event.finish == FinishReason::stop && event.stop_match.empty();
  if (stop_id && !tokens.empty()) tokens.pop_back();
  choice.finish = event.finish;
  if (event.finish != FinishReason::none) --open_;
  if (!plan_.stream) {
    choice.text += event.text;
    for (EmittedToken& token : tokens) choice.tokens.push_back(std::move(token));
    return {};
  }
  std::string out;
  if (!event.text.empty() || !tokens.empty()) out += this->event(index, event.text, tokens, FinishReason::none);
  if (event.finish != FinishReason::none) out += this->event(index, "", {}, event.finish);
  return out;
}

std::string Answer::end() const {
  std::string out;
  if (failure_) {
    out = sse(error_body(*failure_));
  } else if (plan_.include_usage) {
    int64_t output_tokens = 0;
    for (const Choice& choice : choices_) output_tokens += choice.output_tokens;
    JsonWriter to;
    to.begin_object();
    write_head(plan_, chunk_object(plan_), to);
    to.key("choices").begin_array().end_array();
    write_usage(plan_.prompt_tokens, output_tokens, to);
    to.end_object();
    out = sse(to.take());
  }
  return out + "data: [DONE]\n\n";
}

HttpResponse Answer::response() const {
  if (failure_) return to_response(*failure_);
  JsonWriter to;
  to.begin_object();
  const bool chat = plan_.kind == AnswerKind::chat;
  write_head(plan_, chat ? "chat.completion" : "text_completion", to);
  to.key("choices").begin_array();
  int64_t output_tokens = 0;
  for (size_t i = 0; i < choices_.size(); ++i) {
    const Choice& choice = choices_[i];
    output_tokens += choice.output_tokens;
    int64_t offset = choice.offset;
    to.begin_object().member("index", static_cast<int64_t>(i));
    if (chat) {
      to.key("message").begin_object().member("role", "assistant").member("content", choice.text);
      to.member_null("refusal").end_object();
    } else {
      to.member("text", plan_.echo[i] + choice.text);
    }
    to.key("logprobs");
    if (!plan_.logprobs) {
      to.null();
    } else if (chat) {
      write_chat_logprobs(choice.tokens, plan_.top_logprobs, plan_.text, to);
    } else {
      write_completion_logprobs(choice.tokens, plan_.top_logprobs, plan_.text, &offset, to);
    }
    write_finish(choice.finish, to);
    to.end_object();
  }
  to.end_array();
  write_usage(plan_.prompt_tokens, output_tokens, to);
  to.end_object();
  HttpResponse response;
  response.body = to.take();
  return response;
}

}  // namespace tare::server
