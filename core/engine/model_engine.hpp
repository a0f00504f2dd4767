// ModelEngine: serves one model. One thread that admits requests, asks the scheduler for a step, hands it to the
// executor and sends the events; it sleeps while there is nothing to do. Thread rule: every method is [any thread];
// events are delivered on the engine's thread, with no lock held.
#pragma once
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/engine/executor.hpp"
#include "core/engine/generation.hpp"
#include "core/engine/scheduler.hpp"

namespace tare {

struct ModelEngineOptions {
  int32_t max_queue = 256;    // requests that wait for their turn; further ones are refused
  int32_t prefill_chunk = 0;  // most prompt rows in a step: what a long prompt delays running streams by; 0: the
                              // executor's max_step_tokens
  uint64_t first_request = 1, request_stride = 1;  // request numbers: first, first + stride, ...
};

class ModelEngine {
 public:
  // Starts the thread. `model`'s context and vocabulary are set from the executor; the context shrinks to what its
  // pages can hold for one sequence. Fails when not even a short sequence can run.
  static Result<std::unique_ptr<ModelEngine>> start(ServedModel model, std::unique_ptr<Executor> executor,
                                                    const ModelEngineOptions& options);
  ~ModelEngine();  // shuts down at once: what still runs ends with FinishReason::cancelled
  ModelEngine(const ModelEngine&) = delete;
  ModelEngine& operator=(const ModelEngine&) = delete;

  const ServedModel& model() const noexcept { return model_; }
  // As EngineClient::submit. The first event may come before submit returns.
  Result<uint64_t> submit(GenerateRequest request, EventSink sink);
  void cancel(uint64_t request);
  EngineStatistics statistics() const;
  int64_t preemptions() const;
  bool ready() const noexcept;  // takes requests

  // No new requests from now on. Returns at once.
  void begin_drain();
  // Waits until what was accepted has ended, at the latest at `deadline`; then cancels the rest and ends the thread.
  // Not to be called from an event sink.
  void shut_down(std::chrono::steady_clock::time_point deadline);

 private:
  enum class Phase : uint8_t { open, draining, cancelling };
  struct Mail {
    std::vector<std::unique_ptr<Generation>> submitted;
    std::vector<uint64_t> cancelled;
    bool empty() const noexcept { return submitted.empty() && cancelled.empty(); }
  };

  ModelEngine(ServedModel model, std::unique_ptr<Executor> executor, ExecutorLimits limits,
              const ModelEngineOptions& options);
  void serve();
  void sort(Mail mail);
  void step();
  void finish(uint64_t id, const GenerateEvent& last);
  void cancel_all();
  Result<StepOutput> run(const StepInput& step) noexcept;
  void publish();

  const ServedModel model_;
  const ModelEngineOptions options_;
  const ExecutorLimits limits_;
  const std::unique_ptr<Executor> executor_;  // engine thread

  mutable std::mutex mutex_;  // guards the block below
  std::condition_variable wake_, ended_;
  Mail mail_;
  Phase phase_ = Phase::open;
  bool has_ended_ = false;
  uint64_t next_request_;
  int64_t queued_ = 0;  // accepted and not yet running
  EngineStatistics statistics_;
  int64_t preemptions_ = 0;

  Scheduler scheduler_;                                    // engine thread
  std::map<uint64_t, std::unique_ptr<Generation>> alive_;  // engine thread

  std::mutex join_mutex_;
  std::thread thread_;
};

}  // namespace tare
