// An executor with a "model" that no test could fool: the next token is a hash of every position that the state shows
// to it, read back from the pages, so a page that was given away too early, mixed up or filled in the wrong order
// changes the tokens. `expected_token` is the same function of the plain token list.
#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/engine/executor.hpp"

namespace tare::testing {

inline uint64_t mix(uint64_t h, uint64_t value) {
  h ^= value + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
  h *= 0xff51afd7ed558ccdu;
  return h ^ (h >> 33);
}
inline uint64_t slot_value(int32_t token, int64_t position) {
  return mix(static_cast<uint64_t>(token), static_cast<uint64_t>(position) + 1);
}
inline int32_t draw(uint64_t h, const SamplingInput& s, int32_t vocabulary) {
  h = mix(mix(mix(h, s.seed), static_cast<uint64_t>(s.choice)), static_cast<uint64_t>(s.position));
  for (int32_t id : s.prompt) h = mix(h, static_cast<uint64_t>(id));
  for (int32_t id : s.output) h = mix(h, static_cast<uint64_t>(id));
  return static_cast<int32_t>(h % static_cast<uint64_t>(vocabulary));
}
// The token that follows `tokens`, without pages.
inline int32_t expected_token(std::span<const int32_t> tokens, const SamplingInput& sampling,
                              const ExecutorLimits& limits) {
  uint64_t h = 7;
  const auto last = static_cast<int64_t>(tokens.size()) - 1;
  for (const StateGroupLimits& group : limits.groups)
    for (int64_t j = first_visible(group.kind, last); j <= last; ++j)
      h = mix(h, slot_value(tokens[static_cast<size_t>(j)], j));
  return draw(h, sampling, limits.vocabulary);
}
// All that `request` gets, without pages, batches or chunks: the definition of "the same tokens as alone".
inline std::vector<int32_t> expected_output(const GenerateRequest& request, const ExecutorLimits& limits) {
  const SamplingParameters& p = request.sampling;
  std::vector<int32_t> tokens = request.prompt, output;
  while (static_cast<int32_t>(output.size()) < request.max_tokens &&
         static_cast<int32_t>(tokens.size()) < limits.context) {
    SamplingInput s;
    s.seed = p.seed.value(), s.choice = request.choice, s.position = static_cast<int32_t>(tokens.size());
    if (p.repetition_penalty != 1) s.prompt = request.prompt;
    if (p.repetition_penalty != 1 || p.presence_penalty != 0 || p.frequency_penalty != 0) s.output = output;
    output.push_back(expected_token(tokens, s, limits));
    tokens.push_back(output.back());
  }
  return output;
}

// What the test and the engine's thread share.
class FakeControl {
 public:
  // Set before the engine starts: the token at position p is script[p - 1], whatever the state says.
  std::vector<int32_t> script;

  // The next `times` steps fail with `status`.
  void fail(Status status, int times = 1) {
    std::lock_guard lock(mutex_);
    for (int i = 0; i < times; ++i) failures_.push_back(status);
  }
  void throw_once() {
    std::lock_guard lock(mutex_);
    throw_ = true;
  }
  // Steps wait at the gate while it is closed.
  void close_gate() {
    std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open_gate() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  // Lets `steps` more steps through a closed gate.
  void let_through(int steps) {
    std::lock_guard lock(mutex_);
    passes_ += steps;
    changed_.notify_all();
  }
  // Waits until `steps` steps have been handed in, those at the gate included.
  void await_steps(size_t steps) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return steps_.size() >= steps; });
  }
  std::vector<StepInput> steps() const {
    std::lock_guard lock(mutex_);
    return steps_;
  }

  // [engine thread]
  Status enter(const StepInput& step) {
    std::unique_lock lock(mutex_);
    steps_.push_back(step);
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_ || passes_ > 0; });
    if (!open_) --passes_;
    if (std::exchange(throw_, false)) throw std::runtime_error("the fake was told to throw");
    if (failures_.empty()) return {};
    Status status = failures_.front();
    failures_.pop_front();
    return status;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true, throw_ = false;
  int passes_ = 0;
  std::deque<Status> failures_;
  std::vector<StepInput> steps_;
};

class FakeExecutor final : public Executor {
 public:
  FakeExecutor(ExecutorLimits limits, FakeControl& control) : limits_(std::move(limits)), control_(&control) {
    for (const StateGroupLimits& g : limits_.groups)
      memory_.emplace_back(static_cast<size_t>(g.num_pages) * static_cast<size_t>(g.page_tokens), 0xdead);
  }
  ExecutorLimits limits() const override { return limits_; }

  Result<StepOutput> run(const StepInput& step) override {
    TARE_RETURN_IF_ERROR(check_step(step, limits_));
    TARE_RETURN_IF_ERROR(control_->enter(step));
    StepOutput output;
    StepViewStorage storage;
    const StepView view = view_step(step, output, storage);
    for (int64_t s = 0; s < view.num_sequences; ++s)
      for (int32_t row = view.sequence_begin[s]; row < view.sequence_begin[s + 1]; ++row)
        for (size_t g = 0; g < memory_.size(); ++g)
          *slot(view, g, s, view.positions[row]) = slot_value(view.token_ids[row], view.positions[row]);
    for (int64_t r = 0; r < view.num_logit_rows; ++r) {
      const int32_t row = view.logit_row_tokens[r];
      int64_t s = 0;
      while (view.sequence_begin[s + 1] <= row) ++s;
      uint64_t h = 7;
      for (size_t g = 0; g < memory_.size(); ++g)
        for (int64_t j = first_visible(limits_.groups[g].kind, view.positions[row]); j <= view.positions[row]; ++j)
          h = mix(h, *slot(view, g, s, j));
      output.ids[static_cast<size_t>(r)] = draw(h, step.sampling[static_cast<size_t>(r)], limits_.vocabulary);
      if (!control_->script.empty())
        output.ids[static_cast<size_t>(r)] =
            control_->script.at(static_cast<size_t>(step.sampling[static_cast<size_t>(r)].position) - 1);
      if (step.sampling[static_cast<size_t>(r)].logprobs >= 0)
        output.logprobs[static_cast<size_t>(r)].drawn = -static_cast<float>(output.ids[static_cast<size_t>(r)]);
    }
    return output;
  }

 private:
  uint64_t* slot(const StepView& view, size_t group, int64_t sequence, int64_t position) {
    const int64_t page_tokens = limits_.groups[group].page_tokens;
    const PageTable& table = view.page_tables[group];
    const int32_t page = table.pages[sequence * table.stride + position / page_tokens];
    return &memory_[group][static_cast<size_t>(page * page_tokens + position % page_tokens)];
  }

  ExecutorLimits limits_;
  FakeControl* control_;
  std::vector<std::vector<uint64_t>> memory_;  // by group: a value a token
};

}  // namespace tare::testing
