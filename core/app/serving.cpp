#include "core/app/serving.hpp"

#include <chrono>
#include <ctime>
#include <sstream>

#include "core/app/device_use.hpp"
#include "core/app/explain.hpp"
#include "core/app/generation_config.hpp"
#include "core/app/tune_missing.hpp"
#include "core/app/version.hpp"
#include "core/base/progress.hpp"

namespace tare {
namespace {

// "auto": the first device that plugins found and have products for, other kinds than the CPU first.
Result<std::string> chosen_device(const Host& host, const Settings& settings) {
  if (settings.devices.size() > 1)
    return failure(Code::unsupported, "device.use names ", settings.devices.size(),
                   " devices, this version serves on one");
  if (settings.devices.front() != "auto") return settings.devices.front();
  std::string cpu;
  for (const DeviceProvider* provider : host.plugins().registrations().devices) {
    const DeviceProvider::Found found = provider->found();
    if (!found.trouble.empty()) host.log().warning(text(provider->kind(), " is not used: ", found.trouble));
    for (const DeviceInfo& d : found.devices) {
      if (host.registry().beginning_with(d.kind, Linear::kOp).empty()) continue;
      if (d.kind == "cpu") {
        cpu = d.id;
      } else if (const Status ready = host.jit().ready(); ready.ok()) {
        return d.id;
      } else {
        host.log().warning(text(d.id, " is not used: ", ready.message()));
      }
    }
  }
  if (cpu.empty())
    return failure(Code::not_found, "no device was found: is the plugin device_cpu in the plugin folder?");
  return cpu;
}

Result<DeviceInfo> info_of(const Host& host, std::string_view id) {
  std::string known, notes;  // notes: why there is none of its kind, in its plugin's words
  for (const DeviceProvider* provider : host.plugins().registrations().devices) {
    DeviceProvider::Found found = provider->found();
    for (DeviceInfo& d : found.devices) {
      if (d.id == id) return std::move(d);
      known += text(known.empty() ? "" : ", ", d.id);
    }
    if (provider->kind() == id.substr(0, id.find(':')) && found.devices.empty())
      for (const std::string& note : found.notes) notes += "; " + note;
  }
  return failure(Code::not_found, "device '", id, "' was not found, there are: ", known.empty() ? "none" : known,
                 notes);
}

Result<PlannedModel> plan_one(const Host& host, const ModelSettings& m, const std::string& path,
                              const DeviceInfo& device, int64_t bytes, const LoadOptions& options) {
  auto description =
      describe_model(host, path, {.weights = true, .dtype = {}, .context = static_cast<int32_t>(m.context)});
  if (!description.ok()) return std::move(description).status().in("model '" + m.name + "'");
  auto planned = plan_model(host, std::move(*description), device, bytes, options);
  if (!planned.ok()) return std::move(planned).status().in("model '" + m.name + "'");
  return planned;
}

SamplingDefaults defaults_of(const Host& host, const LoadedModel& model, bool off) {
  if (off) return {};
  std::vector<std::string> notes;
  const SamplingDefaults out = read_generation_config(model.checkpoint.text.generation_config_json, notes);
  for (const std::string& note : notes) host.log().warning(text("model '", model.name, "': ", note));
  if (const std::string words = to_string(out); !words.empty())
    host.log().info(
        text("model '", model.name, "': generation_config.json samples with ", words, " where a request says nothing"));
  return out;
}

// Time, or who may not write, leaves problems to the rule: serving goes on, and says so.
void measure(const Host& host, const Settings& settings, const std::string& device_id, const PlannedModel& planned,
             const LoadOptions& options, size_t missing) {
  host.log().info(text("model '", options.name, "': measuring ", missing, " problems for at most ",
                       settings.tuning_budget_ms / 1000, " s"));
  auto device = host.open_device(device_id, {.threads = settings.device_threads, .memory_bytes = 0});
  Status done = device.ok() ? tune_missing(host, **device, planned, options.layout, settings.tuning_budget_ms / 1000.0)
                            : device.status();
  if (!done.ok())
    host.log().warning(text("model '", options.name, "' is not tuned, the built-in rule stands in: ", done.message()));
}

}  // namespace

Result<ServingPlan> plan_serving(const Host& host, const Settings& settings, bool may_measure) {
  ServingPlan plan;
  TARE_ASSIGN_OR_RETURN(plan.device_id, chosen_device(host, settings));
  DeviceInfo device;
  // A part of the CPU, of its cores or of its instruction sets, is another SKU: found devices are whole.
  if (const bool part = plan.device_id.starts_with("cpu:");
      part || (plan.device_id == "cpu" && settings.device_threads > 0)) {
    TARE_ASSIGN_OR_RETURN(const auto opened, host.open_device(plan.device_id, {.threads = settings.device_threads}));
    device = opened->info();
  } else {
    TARE_ASSIGN_OR_RETURN(device, info_of(host, plan.device_id));
  }
  device = with_sku(std::move(device), sku_table(host.tuning_places(), host.log()));
  plan.device_bytes = device.memory_bytes;
  plan.budget_bytes = settings.device_memory.of(device.memory_bytes);
  int64_t left = plan.budget_bytes;
  auto tuning = host.tuning(device);
  for (size_t i = 0; i < settings.models.size(); ++i) {
    const ModelSettings& m = settings.models[i];
    LoadOptions options{.name = m.name,
                        .max_step_tokens = settings.max_step_tokens,
                        .max_sequences = settings.max_batch,
                        .memory_bytes = m.memory_bytes,
                        .deterministic = settings.deterministic,
                        .references_only = false,
                        .layout = m.layout,
                        .objective = m.objective,
                        .mix = m.mix,
                        .tuning = tuning,
                        .record_steps = settings.device_graphs,
                        .show_progress = true};
    const std::string path = settings.resolve(m.source);
    // What is left is shared by the models that are still to come; weights and workspace are taken in full.
    const auto others = static_cast<int64_t>(settings.models.size() - i);
    const int64_t bytes = others > 1 ? left / others : left;
    TARE_ASSIGN_OR_RETURN(PlannedModel planned, plan_one(host, m, path, device, bytes, options));
    if (settings.on_miss != OnMiss::heuristic)
      if (const auto missing = missing_of(planned); !missing.empty()) {
        if (settings.on_miss == OnMiss::fail)
          return failure(Code::not_found, missing_sentence(missing, m.name, path, device));
        if (may_measure) {
          measure(host, settings, plan.device_id, planned, options, missing.size());
          options.tuning = tuning = host.tuning(device);
          TARE_ASSIGN_OR_RETURN(planned, plan_one(host, m, path, device, bytes, options));
          if (const size_t rest = missing_of(planned).size(); rest > 0)
            host.log().warning(text("model '", m.name, "': ", rest, " problems are still not measured"));
        }
      }
    left -= planned.memory.total();
    if (others > 1) planned.budget = planned.memory.total();  // the rest is others'
    plan.models.push_back(std::move(planned));
    plan.options.push_back(std::move(options));
  }
  return plan;
}

std::string to_string(const ServingPlan& plan) {
  std::ostringstream out;
  int64_t total = 0;
  for (size_t i = 0; i < plan.models.size(); ++i) {
    const PlannedModel& m = plan.models[i];
    out << memory_table(plan.options[i].name, m.memory, m.executor);
    out << "  layouts     " << layouts_line(*m.description.program, m.settlement) << '\n';
    for (const std::string& note : m.description.checkpoint.notes) out << "  note: " << note << '\n';
    if (!m.load_note.empty()) out << "  note: " << m.load_note << '\n';
    total += m.memory.total();
  }
  out << "device " << plan.device_id << ": " << human_bytes(total) << " of a budget of "
      << human_bytes(plan.budget_bytes) << " (" << human_bytes(plan.device_bytes) << " in all)\n";
  return out.str();
}

Serving::~Serving() { shut_down(); }

Result<std::unique_ptr<Serving>> Serving::start(const Host& host, const Settings& settings, ServingPlan plan) {
  auto out = std::unique_ptr<Serving>(new Serving);
  TARE_ASSIGN_OR_RETURN(out->device_, host.open_device(plan.device_id, {.threads = settings.device_threads,
                                                                        .memory_bytes = plan.budget_bytes}));
  const auto& front_ends = host.plugins().registrations().front_ends;
  if (front_ends.empty())
    return failure(Code::not_found, "no plugin brings a front end, the server_openai plugin does");
  out->server_ = settings.server;
  out->server_.version = kVersion;
  if (!settings.api_keys_file.empty()) {
    TARE_ASSIGN_OR_RETURN(out->server_.api_keys, read_api_keys(settings.resolve(settings.api_keys_file)));
  }
  std::vector<EngineModel> engine_models;
  out->models_.reserve(plan.models.size());  // text models are pointed to
  for (size_t i = 0; i < plan.models.size(); ++i) {
    auto loaded = load_model(host, std::move(plan.models[i]), *out->device_, plan.options[i]);
    if (!loaded.ok()) return std::move(loaded).status().in("model '" + plan.options[i].name + "'");
    out->models_.push_back(std::move(*loaded));
    LoadedModel& model = out->models_.back();
    host.log().info(text("loaded ", model.name, " in ", static_cast<int64_t>(model.seconds * 1000), " ms"));
    if (model.text == nullptr)
      host.log().warning(text("model '", model.name, "' takes token ids only: ", model.text_problem));
    engine_models.push_back({.model = {.name = model.name,
                                       .created = std::time(nullptr),
                                       .context = 0,
                                       .vocabulary = 0,
                                       .text = model.text.get(),
                                       .sampling = settings.models[i].sampling.or_else(
                                           defaults_of(host, model, settings.models[i].generation_config_off))},
                             .executor = std::move(model.executor),
                             .options = {.max_queue = settings.queue}});
  }
  const DeviceInfo info = with_sku(out->device_->info(), sku_table(host.tuning_places(), host.log()));
  out->mark_ = ServingMark::hold(host.tuning_places().database, info.sku);
  TARE_ASSIGN_OR_RETURN(out->engine_, EngineSet::start(std::move(engine_models)));
  TARE_ASSIGN_OR_RETURN(out->front_end_, front_ends.front()->start(out->server_, *out->engine_, host.log()));
  return out;
}

std::string Serving::url() const {
  const std::string& host = server_.host;
  return text("http://", host.find(':') != std::string::npos ? "[" + host + "]" : host, ":", front_end_->port());
}

void Serving::shut_down() {
  if (front_end_ != nullptr) front_end_->shut_down();
  front_end_.reset();
  if (engine_ != nullptr) engine_->shut_down(std::chrono::milliseconds(server_.shutdown_deadline_ms));
  engine_.reset();
}

}  // namespace tare
