#include "core/engine/generation.hpp"

#include <algorithm>

namespace tare {

Generation::Generation(GenerateRequest request, EventSink sink, const ServedModel& model)
    : sampling_{.parameters = std::move(request.sampling), .choice = request.choice},
      stop_ids_(std::move(request.stop_ids)),
      stops_(std::move(request.stop)),
      sink_(std::move(sink)) {
  sequence_.tokens = std::move(request.prompt);
  sequence_.prompt_tokens = static_cast<int32_t>(sequence_.tokens.size());
  sequence_.most_tokens = model.context;
  if (request.max_tokens > 0 && request.max_tokens < model.context - sequence_.prompt_tokens)
    sequence_.most_tokens = sequence_.prompt_tokens + request.max_tokens;
  if (model.text == nullptr) return;
  decoder_ = model.text->stream_decoder(request.skip_special);
  if (!request.ignore_eos)
    for (int32_t stop : model.text->stop_ids()) stop_ids_.push_back(stop);
}

GenerateEvent Generation::take(int32_t token, SampledLogprobs logprobs) {
  sequence_.tokens.push_back(token);
  GenerateEvent event = end(FinishReason::none);
  event.tokens.push_back({.id = token, .logprobs = std::move(logprobs)});
  const bool stop_id = std::ranges::find(stop_ids_, token) != stop_ids_.end();
  if (decoder_ && !stop_id) event.text = stops_.push(decoder_->push(token));
  if (stop_id) {
    event.finish = FinishReason::stop;
  } else if (!stops_.matched() && static_cast<int32_t>(sequence_.tokens.size()) >= sequence_.most_tokens) {
    event.finish = FinishReason::length;
  }
  if (decoder_ && event.finish != FinishReason::none) {
    event.text += stops_.push(decoder_->finish());
    event.text += stops_.finish();
  }
  if (stops_.matched()) {
    event.finish = FinishReason::stop;
    event.stop_match = stops_.match();
  }
  return event;
}

GenerateEvent Generation::end(FinishReason reason, Status error) const {
  return {.request = sequence_.id,
          .tokens = {},
          .text = {},
          .finish = reason,
          .stop_match = {},
          .error = std::move(error),
          .prompt_tokens = sequence_.prompt_tokens,
          .output_tokens = output_tokens()};
}

bool Generation::deliver(const GenerateEvent& event) const noexcept {
  try {
    if (sink_) sink_(event);
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace tare
