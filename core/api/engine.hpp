// The engine's messages: submit, cancel, events. Plain values with no pointers in them, so that the engine can run in
// this process or another. Thread rule: EngineClient is [any thread]; events are delivered on the engine's thread and
// the sink must not block.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/api/status.hpp"
#include "core/api/step.hpp"
#include "core/api/text.hpp"

namespace tare {

struct SamplingParameters {
  float temperature = 1, top_p = 1, min_p = 0;
  int32_t top_k = 0;
  float frequency_penalty = 0, presence_penalty = 0, repetition_penalty = 1;
  std::optional<uint64_t> seed;  // absent: drawn by the engine, once a request
  int32_t logprobs = -1;         // -1: none; n: the drawn token's and the n most likely
  std::vector<std::pair<int32_t, float>> logit_bias;
  bool operator==(const SamplingParameters&) const = default;
};

// What a model's requests sample with where they say nothing; absent: as SamplingParameters has it. [any thread]
struct SamplingDefaults {
  std::optional<float> temperature, top_p, min_p, repetition_penalty;
  std::optional<int32_t> top_k;
  // These, and what is absent here from `other`.
  SamplingDefaults or_else(const SamplingDefaults& other) const {
    return {temperature ? temperature : other.temperature, top_p ? top_p : other.top_p, min_p ? min_p : other.min_p,
            repetition_penalty ? repetition_penalty : other.repetition_penalty, top_k ? top_k : other.top_k};
  }
  void apply(SamplingParameters& to) const {
    to.temperature = temperature.value_or(to.temperature), to.top_p = top_p.value_or(to.top_p);
    to.min_p = min_p.value_or(to.min_p), to.top_k = top_k.value_or(to.top_k);
    to.repetition_penalty = repetition_penalty.value_or(to.repetition_penalty);
  }
  bool operator==(const SamplingDefaults&) const = default;
};

enum class FinishReason : uint8_t { none, stop, length, cancelled, error };

struct GenerateRequest {
  std::string model;
  std::vector<int32_t> prompt;
  SamplingParameters sampling;
  int32_t choice = 0;             // index among the `n` of one request: part of the random stream
  int32_t max_tokens = 0;         // 0: up to the context's end
  std::vector<std::string> stop;  // text; what matches is not emitted
  std::vector<int32_t> stop_ids;  // beside the model's own
  bool ignore_eos = false;
  bool skip_special = true;    // special tokens give no text
  bool echo_logprobs = false;  // log probabilities of the prompt's tokens too (completions, echo)
  bool operator==(const GenerateRequest&) const = default;
};

struct EmittedToken {
  int32_t id = 0;
  SampledLogprobs logprobs;  // when asked for
};
// Something happened to a request. `tokens` and `text` are what is new; a final event has `finish` set, and nothing
// comes after it. Text may lag behind tokens (half characters, possible stop strings).
struct GenerateEvent {
  uint64_t request = 0;
  std::vector<EmittedToken> tokens;
  std::string text;
  FinishReason finish = FinishReason::none;
  std::string stop_match;                        // the stop string that ended it
  Status error;                                  // when finish == error
  int32_t prompt_tokens = 0, output_tokens = 0;  // so far
};
using EventSink = std::function<void(const GenerateEvent&)>;

// A model as the front end sees it; lives as long as the server.
struct ServedModel {
  std::string name;
  int64_t created = 0;  // seconds since 1970
  int32_t context = 0;  // most tokens of prompt and output together
  int32_t vocabulary = 0;
  const TextModel* text = nullptr;  // may be null: then only token ids are taken
  SamplingDefaults sampling = {};   // for front ends to fill requests with: the engine takes them as they come
};

struct EngineStatistics {
  int64_t running = 0, waiting = 0;
  int64_t prompt_tokens = 0, output_tokens = 0;  // since the start
  int64_t requests_finished = 0, requests_failed = 0, requests_cancelled = 0, requests_refused = 0;
  int64_t state_pages_used = 0, state_pages_total = 0;
  int64_t steps = 0;
  double step_seconds = 0;  // time spent in steps
};

class EngineClient {
 public:
  virtual ~EngineClient() = default;
  virtual std::vector<ServedModel> models() const = 0;
  // Refused at once: unknown model (not_found), prompt longer than the context (invalid, both numbers), id outside the
  // vocabulary (invalid), full queue (exhausted), shutting down (unavailable). Otherwise the request's number, and
  // events follow, the last one with `finish`.
  virtual Result<uint64_t> submit(GenerateRequest request, EventSink sink) = 0;
  // The request ends with FinishReason::cancelled and gives its blocks back; unknown or finished ones are ignored.
  virtual void cancel(uint64_t request) = 0;
  virtual EngineStatistics statistics(std::string_view model) const = 0;
  virtual bool ready() const noexcept = 0;
};

}  // namespace tare
