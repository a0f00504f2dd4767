#include "core/engine/check_request.hpp"

#include <cmath>

namespace tare {
namespace {

Status in_range(std::string_view what, float value, float low, float high) {
  if (std::isfinite(value) && value >= low && value <= high) return {};
  return invalid(what, " is ", value, ", expected ", low, " to ", high);
}

Status check_id(std::string_view what, int32_t id, const ServedModel& model) {
  if (id >= 0 && id < model.vocabulary) return {};
  return invalid(what, " is ", id, ", expected 0 to ", model.vocabulary - 1);
}

Status check_sampling(const SamplingParameters& s, const ServedModel& model) {
  constexpr float kMost = 1e4f;  // beyond it a float's step is coarser than anything one would tune
  TARE_RETURN_IF_ERROR(in_range("temperature", s.temperature, 0, kMost));
  if (!(s.top_p > 0 && s.top_p <= 1)) return invalid("top_p is ", s.top_p, ", expected more than 0 and at most 1");
  TARE_RETURN_IF_ERROR(in_range("min_p", s.min_p, 0, 1));
  if (s.top_k < 0) return invalid("top_k is ", s.top_k, ", expected 0 (off) or more");
  TARE_RETURN_IF_ERROR(in_range("frequency_penalty", s.frequency_penalty, -kMost, kMost));
  TARE_RETURN_IF_ERROR(in_range("presence_penalty", s.presence_penalty, -kMost, kMost));
  if (!(std::isfinite(s.repetition_penalty) && s.repetition_penalty > 0))
    return invalid("repetition_penalty is ", s.repetition_penalty, ", expected more than 0");
  if (s.logprobs < -1 || s.logprobs > model.vocabulary)
    return invalid("logprobs is ", s.logprobs, ", expected 0 to ", model.vocabulary);
  for (const auto& [id, bias] : s.logit_bias) {
    TARE_RETURN_IF_ERROR(check_id("token of logit_bias", id, model));
    TARE_RETURN_IF_ERROR(in_range("logit_bias", bias, -kMost, kMost));
  }
  return {};
}

}  // namespace

Status check_request(const GenerateRequest& request, const ServedModel& model) {
  if (request.prompt.empty()) return invalid("prompt has no tokens, expected at least 1");
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  if (prompt_tokens > model.context)
    return invalid("prompt has ", prompt_tokens, " tokens, the model takes ", model.context);
  if (prompt_tokens == model.context)
    return invalid("prompt has ", prompt_tokens, " tokens, which leaves none of the model's ", model.context,
                   " for output");
  for (int32_t id : request.prompt) TARE_RETURN_IF_ERROR(check_id("token of the prompt", id, model));
  if (request.max_tokens < 0) return invalid("max_tokens is ", request.max_tokens, ", expected 0 (no bound) or more");
  if (request.choice < 0) return invalid("choice is ", request.choice, ", expected 0 or more");
  TARE_RETURN_IF_ERROR(check_sampling(request.sampling, model));
  for (int32_t id : request.stop_ids) TARE_RETURN_IF_ERROR(check_id("stop id", id, model));
  for (const std::string& stop : request.stop)
    if (stop.empty()) return invalid("a stop string is empty, expected at least one character");
  if (!request.stop.empty() && model.text == nullptr)
    return failure(Code::unsupported, "model '", model.name, "' has no text: it takes stop ids, not stop strings");
  if (request.echo_logprobs)
    return failure(Code::unsupported, "log probabilities of the prompt's tokens are not supported");
  return {};
}

}  // namespace tare
