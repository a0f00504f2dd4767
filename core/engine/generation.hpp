// Generation: one request on its way through the engine: its sequence, how its tokens are drawn, and how they become
// text. [engine thread]
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/engine/assemble_step.hpp"
#include "core/engine/stop_matcher.hpp"

namespace tare {

class Generation {
 public:
  // `request` was checked against `model`; its sampling has a seed. The sequence's id is set before it is queued.
  Generation(GenerateRequest request, EventSink sink, const ServedModel& model);

  Sequence& sequence() noexcept { return sequence_; }
  const SamplingState& sampling() const noexcept { return sampling_; }
  int32_t output_tokens() const noexcept {
    return static_cast<int32_t>(sequence_.tokens.size()) - sequence_.prompt_tokens;
  }

  // Takes a drawn token: appends it and gives the event for it, final when the token ends the request. A stop id is the
  // last of the event's tokens and gives no text; text that ends with a stop string ends before it.
  GenerateEvent take(int32_t token, SampledLogprobs logprobs);
  // The last event of a request that ends for another reason.
  GenerateEvent end(FinishReason reason, Status error = {}) const;
  // To the request's sink. False: the sink threw, and nobody listens any more.
  bool deliver(const GenerateEvent& event) const noexcept;

 private:
  Sequence sequence_;
  SamplingState sampling_;
  std::vector<int32_t> stop_ids_;
  StopMatcher stops_;
  std::unique_ptr<StreamDecoder> decoder_;  // null: no text
  EventSink sink_;
};

}  // namespace tare
