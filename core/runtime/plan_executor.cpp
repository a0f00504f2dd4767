#include "core/runtime/plan_executor.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <utility>

#include "core/runtime/staging.hpp"

namespace tare {
namespace {

int64_t rows_now(const Shape& shape, const StepView& step) noexcept {
  return Bucket{step.num_tokens, step.num_sequences, step.num_logit_rows}.rows(shape);
}

TensorView view_of(const TensorInfo& info, void* data) {
  TensorView view{.data = data, .dtype = info.dtype, .rank = 0, .sizes = {1, 1, 1, 1}, .row_stride = 0};
  for (const Dim& dim : info.shape) view.sizes[view.rank++] = dim.size;
  view.row_stride = view.row_elements();
  return view;
}

}  // namespace

struct PlanExecutor::Bound {
  const PlanStep* step = nullptr;
  std::unique_ptr<Instance> instance;
  std::vector<TensorView> inputs, outputs;
  std::vector<WeightView> weights;
  const StateView* state = nullptr;
  std::span<std::byte> scratch;
};

std::vector<Bucket> buckets_for(const ExecutorOptions& options) {
  std::vector<Bucket> buckets;
  for (int64_t tokens = 1;; tokens *= 2) {
    tokens = std::min<int64_t>(tokens, options.max_step_tokens);
    const int64_t rows = std::min<int64_t>(tokens, options.max_sequences);
    buckets.push_back({tokens, rows, rows});
    if (tokens == options.max_step_tokens) return buckets;
  }
}

PlanExecutor::~PlanExecutor() = default;

Result<std::unique_ptr<PlanExecutor>> PlanExecutor::create(std::unique_ptr<const Program> program,
                                                           std::vector<Plan> plans,
                                                           std::unique_ptr<ResidentWeights> weights,
                                                           std::unique_ptr<PagedState> state, Device& device,
                                                           const ExecutorOptions& options, std::string_view label) {
  auto out = std::unique_ptr<PlanExecutor>(new PlanExecutor);
  out->program_ = std::move(program), out->plans_ = std::move(plans);
  out->weights_ = std::move(weights), out->state_ = std::move(state);
  out->device_ = &device, out->options_ = options;
  TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  int64_t arena = 1;
  for (const Plan& plan : out->plans_) arena = std::max(arena, plan.arena_bytes);
  TARE_ASSIGN_OR_RETURN(out->arena_, device.allocate(static_cast<size_t>(arena), Purpose::workspace, label));
  for (const OutputDecl& o : out->program_->outputs) {
    if (o.entry == 0 && o.name == "logits") out->logits_value_ = o.value;
    if (o.entry == 0 && o.name == "token") out->token_value_ = o.value;
  }
  if (out->logits_value_ < 0 || out->token_value_ < 0)
    return invalid(label, ": the text entry has no output \"logits\"");
  out->vocabulary_ =
      static_cast<int32_t>(out->program_->values[static_cast<size_t>(out->logits_value_)].info.shape.back().size);
  for (const Plan& plan : out->plans_) TARE_RETURN_IF_ERROR(out->prepare(plan));
  TARE_RETURN_IF_ERROR(out->make_instances());
  if (!device.host_addressable()) {
    // The step's tables at their largest, so that no step allocates.
    int64_t entries = 3 * int64_t{options.max_step_tokens} + 3 * int64_t{options.max_sequences} + 64;
    for (const StateGroup& g : out->state_->groups()) {
      const int64_t pages = (options.context + g.page_tokens - 1) / g.page_tokens;
      entries += options.max_sequences * static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(pages))) + 16;
    }
    TARE_ASSIGN_OR_RETURN(out->arrays_, StepArrays::create(device, entries, text(label, "/step")));
    if (auto* recorder = static_cast<WorkRecorder*>(device.query(WorkRecorder::kInterface));
        recorder != nullptr && options.record_steps)
      out->recordings_ = std::make_unique<Recordings>(*recorder);
  }
  for (const std::vector<Bound>& steps : out->bound_) {
    const auto first = std::ranges::find_if(steps, [](const Bound& b) { return !b.instance->replays(); });
    out->replayed_.push_back(static_cast<size_t>(first - steps.begin()));
  }
  return out;
}

Status PlanExecutor::prepare(const Plan& plan) {
  auto* base = static_cast<std::byte*>(arena_->data());
  const auto view = [&](int32_t v) {
    return view_of(program_->values[static_cast<size_t>(v)].info, base + plan.values[static_cast<size_t>(v)].offset);
  };
  std::vector<Bound> steps;
  for (const PlanStep& step : plan.steps) {
    Bound bound{
        .step = &step, .instance = {}, .inputs = {}, .outputs = {}, .weights = {}, .state = nullptr, .scratch = {}};
    for (int32_t v : step.inputs) bound.inputs.push_back(view(v));
    for (int32_t v : step.outputs) bound.outputs.push_back(view(v));
    for (int32_t w : step.weights) bound.weights.push_back(w < 0 ? WeightView{} : weights_->view(w));
    if (step.state >= 0) bound.state = &state_->view(step.state);
    bound.scratch = {base + step.scratch_offset, static_cast<size_t>(step.scratch_bytes)};
    steps.push_back(std::move(bound));
  }
  bound_.push_back(std::move(steps));
  return {};
}

// Where kernels are compiled, that is done by all of the host's threads; elsewhere instances are cheap, and made in
// order.
Status PlanExecutor::make_instances() {
  std::vector<Bound*> all;
  for (std::vector<Bound>& plan : bound_)
    for (Bound& bound : plan) all.push_back(&bound);
  std::mutex mutex;
  Status first_failure;
  const auto make = [&](Bound& bound) -> Status {
    const Choice& choice = bound.step->choice;
    auto instance = choice.kernel->instance(*device_, bound.step->problem, choice.config);
    if (!instance.ok()) return std::move(instance).status().in(choice.kernel->id());
    bound.instance = std::move(*instance);
    return bound.instance->bind(bound.weights).in(choice.kernel->id());
  };
  const auto body = [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; ++i) {
      Status status = make(*all[static_cast<size_t>(i)]);
      const std::lock_guard lock(mutex);
      if (first_failure.ok() && !status.ok()) first_failure = std::move(status);
      if (!first_failure.ok()) return;
    }
  };
  const auto count = std::ssize(all);
  if (device_->host_addressable())
    body(0, count, 0);
  else
    make_host_threads(0)->run(count, 1, body);
  return first_failure;
}

ExecutorLimits PlanExecutor::limits() const {
  ExecutorLimits limits{.max_step_tokens = options_.max_step_tokens,
                        .max_sequences = options_.max_sequences,
                        .context = options_.context,
                        .vocabulary = vocabulary_,
                        .groups = {}};
  for (size_t g = 0; g < state_->groups().size(); ++g)
    limits.groups.push_back({state_->groups()[g].kind, state_->groups()[g].page_tokens, state_->pages()[g]});
  return limits;
}

// Steps of one token a sequence come by the thousand and look alike; those with prompts do not.
Status PlanExecutor::launch(size_t plan, const StepView& view, const StepShape* shape) {
  const std::span<const Bound> steps = bound_[plan];
  size_t done = 0;
  if (recordings_ != nullptr && shape != nullptr && !profiling_ && view.num_tokens == view.num_sequences &&
      replayed_[plan] > 1) {
    if (std::exchange(recorded_generation_, arrays_->generation()) != arrays_->generation()) recordings_->clear();
    done = replayed_[plan];
    TARE_RETURN_IF_ERROR(recordings_->run(plan, *shape, *stream_, [&] { return launch(steps.first(done), view); }));
  }
  return launch(steps.subspan(done), view);
}

Status PlanExecutor::launch(std::span<const Bound> steps, const StepView& view) {
  std::vector<TensorView> inputs, outputs;
  for (const Bound& bound : steps) {
    inputs = bound.inputs, outputs = bound.outputs;
    int64_t rows = 0;
    for (size_t i = 0; i < inputs.size(); ++i)
      inputs[i].sizes[0] = rows_now(program_->values[static_cast<size_t>(bound.step->inputs[i])].info.shape, view);
    for (size_t i = 0; i < outputs.size(); ++i)
      rows += outputs[i].sizes[0] =
          rows_now(program_->values[static_cast<size_t>(bound.step->outputs[i])].info.shape, view);
    if (rows == 0) continue;  // no logits are wanted in mid-prompt
    const Launch launch{.device = *device_,
                        .stream = *stream_,
                        .step = view,
                        .inputs = inputs,
                        .outputs = outputs,
                        .weights = bound.weights,
                        .state = bound.state,
                        .scratch = bound.scratch};
    Status status = profiling_ ? timed(bound, launch) : bound.instance->launch(launch);
    if (!status.ok()) return std::move(status).in(bound.step->choice.kernel->id());
  }
  return {};
}

Status PlanExecutor::timed(const Bound& bound, const Launch& launch) {
  const auto start = std::chrono::steady_clock::now();
  TARE_RETURN_IF_ERROR(bound.instance->launch(launch));
  TARE_RETURN_IF_ERROR(stream_->synchronize());
  const std::string id(bound.step->choice.kernel->id());
  KernelTime& time = times_[id];
  time.kernel = id, ++time.launches;
  time.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {};
}

void PlanExecutor::start_profile() {
  profiling_ = true;
  times_.clear();
}
std::vector<KernelTime> PlanExecutor::profile() const {
  std::vector<KernelTime> out;
  for (const auto& [id, time] : times_) out.push_back(time);
  std::ranges::sort(out, std::greater(), &KernelTime::seconds);
  return out;
}

Result<StepOutput> PlanExecutor::run(const StepInput& step) {
  StepOutput output;
  StepView view = view_step(step, output, storage_);
  size_t plan = 0;
  while (plan < plans_.size() &&
         (plans_[plan].bucket.tokens < view.num_tokens || plans_[plan].bucket.sequences < view.num_sequences ||
          plans_[plan].bucket.logit_rows < view.num_logit_rows))
    ++plan;
  if (plan == plans_.size())
    return invalid("a step has ", view.num_tokens, " tokens of ", view.num_sequences,
                   " sequences, the largest plan takes ", to_string(plans_.back().bucket));
  StepShape shape;
  if (arrays_ != nullptr) {
    TARE_ASSIGN_OR_RETURN(shape, arrays_->upload(*stream_, step, view, storage_.page_tables));
  }
  TARE_RETURN_IF_ERROR(launch(plan, view, arrays_ != nullptr ? &shape : nullptr));
  last_plan_ = plan, last_logit_rows_ = view.num_logit_rows;
  const auto* base = static_cast<const std::byte*>(arena_->data());
  if (view.num_logit_rows > 0) {
    TARE_RETURN_IF_ERROR(device_->copy_out(*stream_, output.ids.data(),
                                           base + plans_[plan].values[static_cast<size_t>(token_value_)].offset,
                                           output.ids.size() * sizeof(int32_t)));
  }
  TARE_RETURN_IF_ERROR(stream_->synchronize());
  return output;
}

Result<std::vector<float>> PlanExecutor::logits() const {
  const auto value = static_cast<size_t>(logits_value_);
  const TensorInfo& info = program_->values[value].info;
  const int64_t count = last_logit_rows_ * vocabulary_;
  std::vector<std::byte> raw(static_cast<size_t>(count * size_of(info.dtype)));
  const auto* base = static_cast<const std::byte*>(arena_->data());
  TARE_RETURN_IF_ERROR(
      device_->copy_out(*stream_, raw.data(), base + plans_[last_plan_].values[value].offset, raw.size()));
  TARE_RETURN_IF_ERROR(stream_->synchronize());
  std::vector<float> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = info.dtype == DType::f32 ? reinterpret_cast<const float*>(raw.data())[i]
                                      : to_float(reinterpret_cast<const bf16*>(raw.data())[i]);
  return out;
}

}  // namespace tare
