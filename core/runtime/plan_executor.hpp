// PlanExecutor: runs steps of one model on one device by its Plans, and by nothing else. One engine thread calls run().
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/executor.hpp"
#include "core/runtime/recordings.hpp"
#include "core/runtime/state.hpp"
#include "core/runtime/step_arrays.hpp"
#include "core/runtime/weights.hpp"

namespace tare {

struct ExecutorOptions {
  int32_t context = 0;  // positions that a sequence may have
  int32_t max_step_tokens = 512;
  int32_t max_sequences = 64;
  bool record_steps = true;  // where the device can: steps of one token a sequence are recorded and played again
};
// Time that one kernel took, over all of its launches.
struct KernelTime {
  std::string kernel;
  int64_t launches = 0;
  double seconds = 0;
};

// The buckets that a model's Plans are made for: token counts 1, 2, 4, .. up to max_step_tokens.
std::vector<Bucket> buckets_for(const ExecutorOptions& options);

class PlanExecutor final : public Executor {
 public:
  // Everything but `device` is taken over; `program` is where the plans' problems point, so it lies on the heap.
  static Result<std::unique_ptr<PlanExecutor>> create(std::unique_ptr<const Program> program, std::vector<Plan> plans,
                                                      std::unique_ptr<ResidentWeights> weights,
                                                      std::unique_ptr<PagedState> state, Device& device,
                                                      const ExecutorOptions& options, std::string_view label);
  ~PlanExecutor() override;
  ExecutorLimits limits() const override;
  Result<StepOutput> run(const StepInput& step) override;
  // The last step's logits, [num_logit_rows, vocabulary]: for golden tests and benchmarks.
  Result<std::vector<float>> logits() const;
  // From now on each launch is waited for and timed; what was gathered so far is dropped.
  void start_profile();
  std::vector<KernelTime> profile() const;  // most time first
  std::span<const Plan> plans() const noexcept { return plans_; }
  const Program& program() const noexcept { return *program_; }
  int64_t arena_bytes() const noexcept { return static_cast<int64_t>(arena_->bytes()); }
  // Null: steps are not recorded.
  const Recordings* recordings() const noexcept { return recordings_.get(); }

 private:
  PlanExecutor() = default;
  struct Bound;  // a Plan's step with its instance and views
  Status prepare(const Plan& plan);
  Status make_instances();
  Status launch(size_t plan, const StepView& view, const StepShape* shape);
  Status launch(std::span<const Bound> steps, const StepView& view);
  Status timed(const Bound& bound, const Launch& launch);

  std::unique_ptr<const Program> program_;
  std::vector<Plan> plans_;
  std::vector<std::vector<Bound>> bound_;  // by plan
  std::vector<size_t> replayed_;           // by plan: how many of its first steps may be recorded
  std::unique_ptr<ResidentWeights> weights_;
  std::unique_ptr<PagedState> state_;
  Device* device_ = nullptr;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Buffer> arena_;
  std::unique_ptr<StepArrays> arrays_;      // only where the device reads no host memory
  std::unique_ptr<Recordings> recordings_;  // after the instances and buffers that they point to
  int64_t recorded_generation_ = 0;         // of arrays_
  ExecutorOptions options_;
  int32_t vocabulary_ = 0;
  int32_t logits_value_ = kAbsent, token_value_ = kAbsent;
  size_t last_plan_ = 0;
  int64_t last_logit_rows_ = 0;
  StepViewStorage storage_;
  bool profiling_ = false;
  std::map<std::string, KernelTime, std::less<>> times_;
};

}  // namespace tare
