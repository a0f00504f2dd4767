#include "core/engine/model_engine.hpp"

#include <exception>
#include <random>

#include "core/engine/check_request.hpp"

namespace tare {

Result<std::unique_ptr<ModelEngine>> ModelEngine::start(ServedModel model, std::unique_ptr<Executor> executor,
                                                        const ModelEngineOptions& options) {
  ExecutorLimits limits = executor->limits();
  auto context = Scheduler::usable_context(limits);
  if (!context) return std::move(context).status().in(text("model '", model.name, "'"));
  model.context = *context;
  model.vocabulary = limits.vocabulary;
  return std::unique_ptr<ModelEngine>(
      new ModelEngine(std::move(model), std::move(executor), std::move(limits), options));
}

ModelEngine::ModelEngine(ServedModel model, std::unique_ptr<Executor> executor, ExecutorLimits limits,
                         const ModelEngineOptions& options)
    : model_(std::move(model)),
      options_(options),
      limits_(std::move(limits)),
      executor_(std::move(executor)),
      next_request_(options.first_request),
      scheduler_(limits_, options.prefill_chunk) {
  statistics_.state_pages_total = scheduler_.pages_total();
  thread_ = std::thread([this] { serve(); });
}

ModelEngine::~ModelEngine() { shut_down(std::chrono::steady_clock::now()); }

Result<uint64_t> ModelEngine::submit(GenerateRequest request, EventSink sink) {
  Status status = check_request(request, model_);
  if (status.ok() && !request.sampling.seed) {
    std::random_device device;
    request.sampling.seed = uint64_t{device()} << 32 | device();
  }
  // Built before the lock is taken: opening a decoder may take a while.
  std::unique_ptr<Generation> generation;
  if (status.ok()) generation = std::make_unique<Generation>(std::move(request), std::move(sink), model_);
  std::lock_guard lock(mutex_);
  if (status.ok() && phase_ != Phase::open)
    status = failure(Code::unavailable, "model '", model_.name, "' is shutting down and takes no more requests");
  if (status.ok() && queued_ >= options_.max_queue)
    status = failure(Code::exhausted, "queue of model '", model_.name, "' is full: ", queued_,
                     " requests wait, at most ", options_.max_queue, " may");
  if (!status.ok()) {
    ++statistics_.requests_refused;
    return status;
  }
  const uint64_t id = next_request_;
  next_request_ += options_.request_stride;
  generation->sequence().id = id;
  mail_.submitted.push_back(std::move(generation));
  ++queued_;
  wake_.notify_one();
  return id;
}

void ModelEngine::cancel(uint64_t request) {
  std::lock_guard lock(mutex_);
  mail_.cancelled.push_back(request);
  wake_.notify_one();
}

EngineStatistics ModelEngine::statistics() const {
  std::lock_guard lock(mutex_);
  EngineStatistics statistics = statistics_;
  statistics.waiting = queued_;
  return statistics;
}
int64_t ModelEngine::preemptions() const {
  std::lock_guard lock(mutex_);
  return preemptions_;
}
bool ModelEngine::ready() const noexcept {
  std::lock_guard lock(mutex_);
  return phase_ == Phase::open;
}

void ModelEngine::begin_drain() {
  std::lock_guard lock(mutex_);
  if (phase_ == Phase::open) phase_ = Phase::draining;
  wake_.notify_one();
}

void ModelEngine::shut_down(std::chrono::steady_clock::time_point deadline) {
  begin_drain();
  {
    std::unique_lock lock(mutex_);
    if (!ended_.wait_until(lock, deadline, [this] { return has_ended_; })) phase_ = Phase::cancelling;
    wake_.notify_one();
  }
  std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void ModelEngine::serve() {
  for (;;) {
    Mail mail;
    Phase phase;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !mail_.empty() || phase_ != Phase::open || !scheduler_.idle(); });
      std::swap(mail, mail_);
      phase = phase_;
      if (mail.empty() && scheduler_.idle() && phase != Phase::open) {  // drained
        has_ended_ = true;
        ended_.notify_all();
        return;
      }
    }
    sort(std::move(mail));
    if (phase == Phase::cancelling) cancel_all();
    if (!scheduler_.idle()) step();
  }
}

void ModelEngine::sort(Mail mail) {
  for (auto& generation : mail.submitted) {
    scheduler_.add(generation->sequence());
    alive_.emplace(generation->sequence().id, std::move(generation));
  }
  for (uint64_t id : mail.cancelled)
    if (const auto at = alive_.find(id); at != alive_.end()) finish(id, at->second->end(FinishReason::cancelled));
}

void ModelEngine::step() {
  const std::vector<Slice> slices = scheduler_.plan();
  publish();
  if (slices.empty()) {  // a mistake of ours: end a request rather than spin
    const auto& [id, generation] = *alive_.begin();
    return finish(id, generation->end(FinishReason::error, Status(Code::internal, "no step could be cut for it")));
  }
  StepInput input;
  for (const Slice& slice : slices) add_rows(slice, alive_.at(slice.sequence->id)->sampling(), input);
  add_page_tables(slices, limits_.groups.size(), input);

  const auto begin = std::chrono::steady_clock::now();
  Result<StepOutput> output = run(input);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  {
    std::lock_guard lock(mutex_);
    ++statistics_.steps;
    statistics_.step_seconds += seconds.count();
  }
  if (!output) {
    for (const Slice& slice : slices) {
      const uint64_t id = slice.sequence->id;
      finish(id, alive_.at(id)->end(FinishReason::error, output.status()));
    }
    return;
  }
  std::vector<Generation*> drawing;
  int64_t prompt_tokens = 0;
  for (const Slice& slice : slices) {
    slice.sequence->stored += slice.rows;
    if (slice.sequence->pending() != 0) continue;
    drawing.push_back(alive_.at(slice.sequence->id).get());
    // Counted with the first token: what a preempted sequence computes again is no new prompt.
    if (drawing.back()->output_tokens() == 0) prompt_tokens += slice.sequence->prompt_tokens;
  }
  {
    std::lock_guard lock(mutex_);
    statistics_.prompt_tokens += prompt_tokens;
    statistics_.output_tokens += static_cast<int64_t>(drawing.size());
  }
  for (size_t row = 0; row < drawing.size(); ++row) {
    const GenerateEvent event = drawing[row]->take(output->ids[row], std::move(output->logprobs[row]));
    if (event.finish != FinishReason::none) {
      finish(event.request, event);
    } else if (!drawing[row]->deliver(event)) {
      finish(event.request, drawing[row]->end(FinishReason::cancelled));
    }
  }
}

Result<StepOutput> ModelEngine::run(const StepInput& step) noexcept {
  Result<StepOutput> output = Status(Code::internal, "the step did not run");
  try {
    output = executor_->run(step);
  } catch (const std::exception& error) {
    output = failure(Code::internal, "the step failed: ", error.what());
  } catch (...) {
    output = failure(Code::internal, "the step failed");
  }
  if (!output) return output;
  const size_t rows = step.logit_row_tokens.size();
  if (output->ids.size() != rows)
    return failure(Code::internal, "the step gave ", output->ids.size(), " tokens, expected ", rows);
  for (int32_t id : output->ids)
    if (id < 0 || id >= limits_.vocabulary)
      return failure(Code::internal, "the step gave token ", id, ", expected 0 to ", limits_.vocabulary - 1);
  output->logprobs.resize(rows);
  return output;
}

void ModelEngine::finish(uint64_t id, const GenerateEvent& last) {
  const std::unique_ptr<Generation> generation = std::move(alive_.extract(id).mapped());
  // Pages and figures first: who has the last event finds them as they are.
  scheduler_.remove(generation->sequence());
  publish();
  {
    std::lock_guard lock(mutex_);
    int64_t& count = last.finish == FinishReason::error       ? statistics_.requests_failed
                     : last.finish == FinishReason::cancelled ? statistics_.requests_cancelled
                                                              : statistics_.requests_finished;
    ++count;
  }
  (void)generation->deliver(last);
}

void ModelEngine::cancel_all() {
  while (!alive_.empty()) {
    const uint64_t id = alive_.begin()->first;
    finish(id, alive_.begin()->second->end(FinishReason::cancelled));
  }
}

void ModelEngine::publish() {
  std::lock_guard lock(mutex_);
  queued_ = scheduler_.waiting() + static_cast<int64_t>(mail_.submitted.size());
  statistics_.running = scheduler_.running();
  statistics_.state_pages_used = scheduler_.pages_used();
  preemptions_ = scheduler_.preemptions();
}

}  // namespace tare
