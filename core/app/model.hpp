// From a path to a model that runs: checkpoint, family, Program, Plans, weights on a device, executor. [loader]
#pragma once
#include <algorithm>
#include <memory>
#include <optional>

#include "core/app/host.hpp"
#include "core/app/layout_choice.hpp"
#include "core/app/memory_plan.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/program/plan.hpp"

namespace tare {

constexpr int32_t kDefaultContext = 32768;

// What is known of a model before a weight is read.
struct ModelDescription {
  Checkpoint checkpoint;
  const ModelFamily* family = nullptr;     // null: a plugin in pure C made the Program
  std::unique_ptr<const Program> traced;   // as the family wrote it: what the text form prints
  std::unique_ptr<const Program> program;  // with sampling; on the heap, since Plans point into it
  int32_t context = 0;                     // that it is traced for: some rotary tables depend on it
};
struct DescribeOptions {
  bool weights = true;  // open the tensors' files too (nothing is read but headers)
  std::optional<DType> dtype;
  int32_t context = 0;  // that it will be served with; 0: the model's own, at most kDefaultContext
};
Result<ModelDescription> describe_model(const Host& host, const std::string& path, const DescribeOptions& options);

struct LoadOptions {
  std::string name;
  int32_t context = 0;  // 0: the model's own, at most kDefaultContext
  int32_t max_step_tokens = 512;
  int32_t max_sequences = 64;
  int64_t memory_bytes = 0;  // most that weights, workspace and state may take; 0: what the device has left
  int64_t weight_bytes = 0;  // most that chosen layouts of the weights may take; 0: as memory_bytes has it
  bool deterministic = true;
  bool references_only = false;
  // Code of the weights of linear layers: "dense", "w12", "w11" or a layout's full id; empty: as a serving bundle has
  // them, unless another objective or cap is asked for or they do not fit; else chosen for each matrix by what was
  // measured, the objective and the memory.
  std::string layout = {};
  Objective objective = Objective::latency;
  std::vector<BatchShare> mix = {};                // of Objective::mix
  std::shared_ptr<const TuningStore> tuning = {};  // null: nothing was measured
  bool record_steps = true;                        // ExecutorOptions
  bool show_progress = false;                      // a bar on standard error while weights are read
  LayoutAim aim() const {
    LayoutAim out{.objective = objective, .mix = mix};
    out.sequences = std::min(max_sequences, max_step_tokens), out.step_tokens = max_step_tokens;
    return out;
  }
};
struct PlannedModel {
  ModelDescription description;
  Settlement settlement;
  std::vector<Plan> plans;
  ExecutorOptions executor;
  MemoryPlan memory;
  std::vector<int32_t> pages;          // by state group
  int64_t budget = 0;                  // what `memory` has to stay within
  std::optional<LayoutChoice> choice;  // absent: nothing was to choose
  // Of a serving bundle: how many weights lie in the file as they will in memory, and a sentence that says so.
  int64_t num_stored = 0, num_copied = 0;
  std::string load_note;
};
// Plans for a device that need not be there in full: its info is enough. `free_bytes`: what it has for this model.
Result<PlannedModel> plan_model(const Host& host, ModelDescription description, const DeviceInfo& device,
                                int64_t free_bytes, const LoadOptions& options);

struct LoadedModel {
  std::string name;
  Checkpoint checkpoint;  // its weights are closed again
  MemoryPlan memory;
  ExecutorOptions limits;
  std::unique_ptr<TextModel> text;        // null: the checkpoint has no tokenizer
  std::string text_problem;               // why `text` is null
  std::vector<std::string> layout_notes;  // weights on which the code asked for does not pay, and why
  std::unique_ptr<PlanExecutor> executor;
  double seconds = 0;
};
Result<LoadedModel> load_model(const Host& host, PlannedModel planned, Device& device, const LoadOptions& options);

}  // namespace tare
