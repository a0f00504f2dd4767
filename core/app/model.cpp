#include "core/app/model.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

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
  // The device's own order of plain numbers; where it has none, kernels choose.
  if (asked == "dense") std::erase_if(fitting, [](const Layout* l) { return l->device_kind().empty(); });
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

// Layouts that a serving bundle has its weights in, where devices of this kind read them; "" leaves one open.
std::vector<std::string> layouts_in_file(const Program& program, const Checkpoint& checkpoint, const Registry& registry,
                                         const DeviceInfo& device) {
  std::vector<std::string> out(program.weights.size());
  bool any = false;
  for (size_t w = 0; w < out.size(); ++w) {
    const auto stored = checkpoint.layouts.find(program.weights[w].name);
    if (stored == checkpoint.layouts.end()) continue;
    const Layout* layout = registry.layout(stored->second.layout);
    if (layout == nullptr || layout->version() != stored->second.version) continue;
    if (!layout->device_kind().empty() && layout->device_kind() != device.kind) continue;
    out[w] = stored->second.layout, any = true;
  }
  if (!any) out.clear();
  return out;
}

// Bytes by weight of those that will lie in memory as they lie in the file; 0 for the others.
std::vector<int64_t> bytes_in_file(const Program& program, const Checkpoint& checkpoint, const Settlement& settlement) {
  std::vector<int64_t> out(program.weights.size());
  for (size_t w = 0; w < out.size(); ++w)
    if (const auto stored = checkpoint.layouts.find(program.weights[w].name); stored != checkpoint.layouts.end())
      if (stored->second.layout == settlement.layouts[w]) out[w] = stored->second.bytes;
  return out;
}

void note_loading(const Registry& registry, PlannedModel& out) {
  const Program& program = *out.description.program;
  const Checkpoint& checkpoint = out.description.checkpoint;
  if (checkpoint.layouts.empty()) return;
  const auto bytes = bytes_in_file(program, checkpoint, out.settlement);
  std::string first;
  out.num_stored = out.num_copied = 0;
  for (size_t w = 0; w < bytes.size(); ++w) {
    const auto stored = checkpoint.layouts.find(program.weights[w].name);
    if (stored == checkpoint.layouts.end()) continue;
    ++out.num_stored, out.num_copied += bytes[w] > 0;
    if (bytes[w] > 0 || !first.empty()) continue;
    first =
        text(program.weights[w].name, " lies as ", stored->second.layout, " and goes into ", out.settlement.layouts[w],
             registry.layout(stored->second.layout) == nullptr ? ", but no plugin brings the former" : "");
  }
  out.load_note = text(out.num_copied, " of ", out.num_stored, " weights are copied as they lie in the bundle");
  if (!first.empty()) out.load_note += text(", the others are laid out again: ", first);
}

Status make_plans(PlanContext context, std::span<const Bucket> buckets, std::span<const std::string> layouts,
                  PlannedModel& out) {
  context.chosen_layouts = layouts;
  TARE_ASSIGN_OR_RETURN(out.settlement, settle(context, buckets));
  out.plans.clear(), out.memory.workspace = 0;
  for (const Bucket& bucket : buckets) {
    TARE_ASSIGN_OR_RETURN(Plan plan, make_plan(context, out.settlement, bucket));
    out.memory.workspace = std::max(out.memory.workspace, plan.arena_bytes);
    out.plans.push_back(std::move(plan));
  }
  const auto known = bytes_in_file(context.program, out.description.checkpoint, out.settlement);
  out.memory.weights = resident_bytes(context.program, out.settlement, context.registry, known);
  return {};
}

// Layouts by what was measured. Where the smallest ones do not fit beside the state that is wanted, it gets the least.
Status choose(const PlanContext& context, std::span<const Bucket> buckets, const LoadOptions& options,
              PlannedModel& out) {
  const StateReserve reserve = state_reserve(context.program, out.executor, out.budget);
  const DeviceRates rates = rates_of(context.device, options.tuning.get(), 10, "assumed");  // ranks, predicts nothing
  for (const int64_t state : {reserve.wanted, reserve.least}) {
    LayoutAim aim = options.aim();
    aim.weight_bytes = std::max<int64_t>(1, out.budget - out.memory.workspace - state);
    if (options.weight_bytes > 0) aim.weight_bytes = std::min(aim.weight_bytes, options.weight_bytes);
    auto choice = choose_layouts(context, buckets, aim, options.tuning.get(), rates);
    if (choice.ok()) {
      out.choice = std::move(*choice);
      return {};
    }
    if (choice.status().code() != Code::exhausted || state == reserve.least)
      return failure(choice.status().code(), choice.status().message(), "; workspace takes ", out.memory.workspace,
                     " and state at least ", state, " of a budget of ", out.budget, " bytes");
  }
  return {};
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
  out.executor.record_steps = options.record_steps;
  for (const BatchShare& share : options.mix)
    if (share.rows > options.max_step_tokens)
      return invalid(description.checkpoint.name, ": the objective's mix has a step of ", share.rows,
                     " tokens, a step takes at most ", options.max_step_tokens, " (--chunk, [engine] max_step_tokens)");
  out.budget = options.memory_bytes > 0 ? std::min(options.memory_bytes, free_bytes) : free_bytes;
  // Quantised weights that grow past the budget are refused before one is read, with both figures.
  if (description.checkpoint.weights != nullptr)
    TARE_RETURN_IF_ERROR(check_budget(*description.checkpoint.weights, description.checkpoint.name, out.budget));
  // Beside the plan a device that reads no host memory holds the step's tables.
  if (device.kind != "cpu") out.budget -= std::min(out.budget / 64, int64_t{16} << 20);
  TARE_ASSIGN_OR_RETURN(std::vector<std::string> layouts,
                        layouts_asked_for(*description.program, host.registry(), device, options.layout));
  PlanContext context{.program = *description.program,
                      .entry = 0,
                      .registry = host.registry(),
                      .ops = host.ops(),
                      .device = device,
                      .deterministic = options.deterministic,
                      .references_only = options.references_only,
                      .tuning = options.tuning.get(),
                      .chosen_layouts = {}};
  const std::vector<Bucket> buckets = buckets_for(out.executor);
  out.description = std::move(description);
  const std::string& name = out.description.checkpoint.name;
  const bool asks = options.objective != Objective::latency || options.weight_bytes > 0;
  bool as_in_file = false;
  if (options.layout.empty() && !options.references_only && !asks) {
    const auto in_file = layouts_in_file(context.program, out.description.checkpoint, context.registry, device);
    as_in_file = !in_file.empty() && make_plans(context, buckets, in_file, out).ok();
  }
  if (!as_in_file) TARE_RETURN_IF_ERROR(make_plans(context, buckets, layouts, out));
  if (options.layout.empty() && !options.references_only) {
    const bool measured = !as_in_file && options.tuning != nullptr && options.tuning->size() > 0;
    const Status fits = size_state(context.program, out.executor, out.budget, name, out.memory, out.pages);
    if (measured || asks || !fits.ok()) {
      TARE_RETURN_IF_ERROR(choose(context, buckets, options, out).in(name));
      TARE_RETURN_IF_ERROR(make_plans(context, buckets, out.choice->layouts, out));
    }
  }
  if (!options.layout.empty() && options.weight_bytes > 0 && out.memory.weights > options.weight_bytes)
    return failure(Code::exhausted, name, ": the weights take ", out.memory.weights, " bytes in the layout ",
                   options.layout, ", there are ", options.weight_bytes, " for them");
  TARE_RETURN_IF_ERROR(size_state(context.program, out.executor, out.budget, name, out.memory, out.pages));
  note_loading(context.registry, out);
  return out;
}

Result<LoadedModel> load_model(const Host& host, PlannedModel planned, Device& device, const LoadOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  LoadedModel out;
  out.checkpoint = std::move(planned.description.checkpoint);
  out.name = options.name.empty() ? out.checkpoint.name : options.name;
  out.limits = planned.executor;
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
  for (int32_t w : (*weights)->fell_back())
    out.layout_notes.push_back(
        text(planned.description.program->weights[static_cast<size_t>(w)].name, ": ", (*weights)->note(w)));
  for (const std::string& note : out.layout_notes) host.log().info(note);
  if ((*weights)->num_copied() + (*weights)->num_reordered() > 0)
    host.log().info(text(out.name, ": ", (*weights)->num_copied(), " weights were copied as the bundle has them, ",
                         (*weights)->num_reordered(), " laid out again"));
  // Codes may take more than was expected of them; then state has the rest, and never more than was planned.
  const int64_t expected = std::exchange(planned.memory.weights, (*weights)->bytes());
  if (Status status = planned.memory.weights <= expected
                          ? Status()
                          : size_state(*planned.description.program, planned.executor, planned.budget, out.name,
                                       planned.memory, planned.pages);
      !status.ok())
    return std::move(status).in(text(expected, " bytes of weights were expected"));
  out.memory = planned.memory;
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
