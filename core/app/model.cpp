#include "core/app/model.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "core/app/checkpoint_weights.hpp"
#include "core/base/progress.hpp"
#include "core/program/nearest.hpp"
#include "core/program/program_text.hpp"
#include "core/program/trace.hpp"

namespace tare {
namespace {

// The first text-only context length that config.json names.
int32_t context_of(const Config& config) {
  for (const char* key : {"max_position_embeddings", "text_config.max_position_embeddings", "n_positions"})
    if (config.has(key)) return static_cast<int32_t>(std::clamp(config.get(key, 0), 0.0, 2e9));
  return 0;
}

Result<Program> program_of(const Host& host, const Checkpoint& checkpoint, const ModelFamily*& family, DType dtype) {
  const Config config(checkpoint.config);
  for (const std::string& architecture : config.strings("architectures"))
    for (const ModelFamily* f : host.families())
      if (std::ranges::find(f->architectures, architecture) != f->architectures.end()) {
        family = f;
        return trace(*f, config, {.dtype = dtype}, host.ops());
      }
  for (const CProgram* c : host.plugins().registrations().programs) {
    auto program_text = c->program(checkpoint.config_json);
    if (!program_text.ok()) {
      host.log().debug(program_text.status().message());
      continue;
    }
    return parse_program(*program_text, host.ops());
  }
  return unknown_architecture(config, host.families());
}

// Largest number of state tokens that fits into `bytes`, at most `most`.
int64_t tokens_that_fit(std::span<const StateGroup> groups, int64_t bytes, int64_t most,
                        const ExecutorOptions& options) {
  int64_t low = 0, high = most;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (bytes_of(groups, pages_for(groups, middle, options.max_sequences, options.max_step_tokens)) <= bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// The layout for each weight that linear layers multiply by; "" leaves one open.
Result<std::vector<std::string>> layouts_asked_for(const Program& program, const Registry& registry,
                                                   const DeviceInfo& device, const std::string& asked) {
  std::vector<std::string> out;
  if (asked.empty()) return out;
  std::vector<const Layout*> fitting;
  std::string known;
  for (const Layout* layout : registry.layouts()) {
    if (!layout->device_kind().empty() && layout->device_kind() != device.kind) continue;
    const std::string_view id = layout->id(), code = id.substr(0, id.find('/'));
    if (id == asked || code == asked) fitting.push_back(layout);
    known += text(known.empty() ? "" : ", ", id);
  }
  if (fitting.empty())
    return invalid("layout '", asked, "' is none of those that ", device.kind, " devices read: ", known);
  out.resize(program.weights.size());
  if (asked == "dense") return out;  // kernels choose the order
  for (const Node& node : program.nodes) {
    if (node.op != Linear::kOp) continue;
    for (size_t position = 0; position < node.weights.size(); position += 2) {
      const int32_t w = node.weights[position];
      if (w < 0) continue;
      for (const Layout* layout : fitting)
        if (layout->supports(weight_info(program, w))) out[static_cast<size_t>(w)] = layout->id();
    }
  }
  return out;
}

}  // namespace

Result<ModelDescription> describe_model(const Host& host, const std::string& path, const DescribeOptions& options) {
  ModelDescription out;
  TARE_ASSIGN_OR_RETURN(out.checkpoint, open_checkpoint(path, host.families(), {.weights = options.weights}));
  if (out.checkpoint.weights != nullptr) TARE_RETURN_IF_ERROR(check_readable(*out.checkpoint.weights, path));
  // F16 numbers widen to F32 without a loss; BF16 has too few mantissa bits for them.
  const DType stored = options.dtype.value_or(out.checkpoint.dtype);
  const DType dtype = stored == DType::bf16 ? DType::bf16 : DType::f32;
  const int32_t longest = context_of(Config(out.checkpoint.config));
  if (longest > 0 && options.context > longest)
    return invalid(path, ": a context of ", options.context, " was asked for, the model takes at most ", longest);
  out.context =
      options.context > 0 ? options.context : std::min(kDefaultContext, longest > 0 ? longest : kDefaultContext);
  out.checkpoint.config["serving_context"] = static_cast<double>(out.context);
  auto program = program_of(host, out.checkpoint, out.family, dtype);
  if (!program.ok()) return std::move(program).status().in(path);
  out.traced = std::make_unique<const Program>(std::move(*program));
  out.program = std::make_unique<const Program>(with_sampling(*out.traced));
  return out;
}

Result<PlannedModel> plan_model(const Host& host, ModelDescription description, const DeviceInfo& device,
                                int64_t free_bytes, const LoadOptions& options) {
  PlannedModel out;
  out.executor.context = description.context;
  out.executor.max_step_tokens = options.max_step_tokens;
  out.executor.max_sequences = std::min(options.max_sequences, options.max_step_tokens);
  TARE_ASSIGN_OR_RETURN(const std::vector<std::string> asked,
                        layouts_asked_for(*description.program, host.registry(), device, options.layout));
  const PlanContext context{.program = *description.program,
                            .entry = 0,
                            .registry = host.registry(),
                            .ops = host.ops(),
                            .device = device,
                            .deterministic = options.deterministic,
                            .references_only = options.references_only,
                            .tuning = options.tuning.get(),
                            .chosen_layouts = asked};
  const std::vector<Bucket> buckets = buckets_for(out.executor);
  TARE_ASSIGN_OR_RETURN(out.settlement, settle(context, buckets));
  for (const Bucket& bucket : buckets) {
    TARE_ASSIGN_OR_RETURN(Plan plan, make_plan(context, out.settlement, bucket));
    out.memory.workspace = std::max(out.memory.workspace, plan.arena_bytes);
    out.plans.push_back(std::move(plan));
  }
  out.memory.weights = resident_bytes(*description.program, out.settlement, host.registry());
  const auto groups = state_groups(*description.program, kPageTokens);
  for (const StateGroup& g : groups) out.memory.state_bytes_per_token += g.token_bytes;
  const int64_t budget = options.memory_bytes > 0 ? std::min(options.memory_bytes, free_bytes) : free_bytes;
  // Quantised weights that grow past the budget are refused before one is read, with both figures.
  if (description.checkpoint.weights != nullptr)
    TARE_RETURN_IF_ERROR(check_budget(*description.checkpoint.weights, description.checkpoint.name, budget));
  const int64_t left = budget - out.memory.weights - out.memory.workspace;
  const int64_t most = int64_t{out.executor.context} * out.executor.max_sequences;
  const int64_t least = pages_for(groups, 1, 1, 1).empty() ? 0 : bytes_of(groups, pages_for(groups, 1, 1, 1));
  if (left < least)
    return failure(Code::exhausted, description.checkpoint.name, " needs ", out.memory.weights,
                   " bytes for weights and ", out.memory.workspace, " for workspace, the budget is ", budget, " bytes");
  out.memory.state_tokens = tokens_that_fit(groups, left, most, out.executor);
  out.pages = pages_for(groups, out.memory.state_tokens, out.executor.max_sequences, out.executor.max_step_tokens);
  out.memory.state = bytes_of(groups, out.pages);
  out.description = std::move(description);
  return out;
}

Result<LoadedModel> load_model(const Host& host, PlannedModel planned, Device& device, const LoadOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  LoadedModel out;
  out.checkpoint = std::move(planned.description.checkpoint);
  out.name = options.name.empty() ? out.checkpoint.name : options.name;
  out.memory = planned.memory, out.limits = planned.executor;
  if (const TextService* service = host.text_service()) {
    auto text_model = service->open(out.checkpoint.text);
    if (text_model.ok())
      out.text = std::move(*text_model);
    else
      out.text_problem = text_model.status().message();
  } else {
    out.text_problem = "no plugin brings text/1";
  }
  const CheckpointWeights source(*out.checkpoint.weights);
  int64_t total = 0;
  for (size_t w = 0; w < planned.description.program->weights.size(); ++w) {
    const WeightInfo info = weight_info(*planned.description.program, static_cast<int32_t>(w));
    total += info.outputs() * info.inputs() * size_of(info.dtype);
  }
  Progress progress("loading " + out.name, total, options.show_progress && Progress::stderr_is_terminal());
  const auto advance = [&](int64_t bytes) { progress.advance(bytes); };
  auto weights = ResidentWeights::load(*planned.description.program, planned.settlement, host.registry(), device,
                                       source, out.name + "/weights", advance);
  if (!weights.ok()) return std::move(weights).status().in(out.checkpoint.path);
  out.checkpoint.weights.reset();
  out.memory.weights = (*weights)->bytes();
  for (int32_t w : (*weights)->fell_back())
    out.layout_notes.push_back(
        text(planned.description.program->weights[static_cast<size_t>(w)].name, ": ", (*weights)->note(w)));
  for (const std::string& note : out.layout_notes) host.log().info(note);
  TARE_ASSIGN_OR_RETURN(auto state, PagedState::allocate(*planned.description.program,
                                                         state_groups(*planned.description.program, kPageTokens),
                                                         planned.pages, device, out.name + "/state"));
  TARE_ASSIGN_OR_RETURN(
      out.executor,
      PlanExecutor::create(std::move(planned.description.program), std::move(planned.plans), std::move(*weights),
                           std::move(state), device, planned.executor, out.name + "/workspace"));
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace tare
