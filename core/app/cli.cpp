#include "core/app/cli.hpp"

#include <iostream>

#include "core/base/log.hpp"
#include "core/config/values.hpp"

namespace tare {

Status CommandLine::apply(Settings& settings) const {
  settings.plugin_path.insert(settings.plugin_path.begin(), plugin_path.begin(), plugin_path.end());
  if (log_level == "debug") settings.log.level = LogLevel::debug;
  if (log_level == "info") settings.log.level = LogLevel::info;
  if (log_level == "warning") settings.log.level = LogLevel::warning;
  if (log_level == "error") settings.log.level = LogLevel::error;
  if (!log_format.empty()) settings.log.format = log_format == "json" ? LogFormat::json : LogFormat::text;
  return {};
}

Result<Settings> CommandLine::settings() const {
  Settings out;
  out.log.level = LogLevel::warning;
  TARE_RETURN_IF_ERROR(apply_environment(process_environment(), &out));
  TARE_RETURN_IF_ERROR(apply(out));
  return out;
}

Result<std::unique_ptr<Host>> CommandLine::host() const {
  TARE_ASSIGN_OR_RETURN(const Settings found, settings());
  TARE_ASSIGN_OR_RETURN(auto log, make_log(found.log));
  return Host::open(host_options(found, process_environment()), std::move(log));
}

int fail(std::string_view sentence) {
  std::cerr << "tare: " << sentence << '\n';
  return 1;
}
int fail(const Status& status) { return fail(status.message()); }

void ModelOptions::add_to(CLI::App& command) {
  command.add_option("MODEL,--model,-m", model, "Hugging Face folder, GGUF file or .tare bundle")->required();
  command.add_option("--device", device, "cpu, cpu:avx2 (no wider instruction set), cuda:0, ...");
  command.add_option("--memory", memory, "Budget: 60GiB, 512MiB, 90%");
  command.add_option("--weights", weights, "The most that weights may take: 2GiB, or 78% of their plain size");
  command.add_option("--layout", layout, "Code of the linear layers' weights: dense, w12, w11, or a layout's id");
  command.add_option(
      "--objective", objective,
      "What the choice of layouts aims at: latency, throughput, balanced, memory, or a mix such as mix:1=0.7,16=0.3");
  command.add_option("--threads,-t", threads, "CPU threads; 0: all cores")->check(CLI::NonNegativeNumber);
  command.add_option("--context,-c", context, "Most tokens of prompt and output; 0: the model's")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--chunk", chunk, "Most tokens of a step")->check(CLI::Range(1, 65536));
  command.add_option("--sequences", sequences, "Most sequences of a step")->check(CLI::Range(1, 4096));
  command.add_flag("--free-order", free_order, "Not deterministic: kernels may add in any order");
  command.add_flag("--no-graphs", no_graphs, "On a GPU, launch every kernel of a decode step by itself");
  command.add_flag("--references", references, "Run every op by its reference kernel (slow; for tests)");
}

Result<int64_t> parse_memory(const std::string& in, int64_t total, std::string_view what) {
  if (in.empty()) return int64_t{0};
  if (const auto bytes = parse_size(in)) return *bytes;
  if (const auto share = parse_share(in)) return static_cast<int64_t>(*share * static_cast<double>(total));
  return invalid(what, " is '", in, "', expected for example 60GiB, 512MiB or 90%");
}

Result<int64_t> parse_weight_cap(const std::string& in, const Program& program) {
  int64_t plain = 0;
  for (size_t w = 0; w < program.weights.size(); ++w) {
    const WeightInfo info = weight_info(program, static_cast<int32_t>(w));
    plain += info.outputs() * info.inputs() * size_of(info.dtype);
  }
  return parse_memory(in, plain, "the most that weights may take");
}

Result<LayoutAim> parse_aim(const std::string& objective) {
  ModelSettings model;
  if (!parse_objective(objective, &model))
    return invalid("the objective is '", objective,
                   "', expected latency, throughput, balanced, memory, or a mix such as mix:1=0.7,16=0.3");
  return LayoutAim{.objective = model.objective, .mix = std::move(model.mix)};
}

Result<RunningModel> load_for(const Host& host, const ModelOptions& o) {
  RunningModel out;
  TARE_ASSIGN_OR_RETURN(out.device, host.open_device(o.device, {.threads = o.threads, .memory_bytes = 0}));
  const DeviceInfo& info = out.device->info();
  TARE_ASSIGN_OR_RETURN(const int64_t memory, parse_memory(o.memory, info.memory_bytes));
  TARE_ASSIGN_OR_RETURN(LayoutAim aim, parse_aim(o.objective));
  TARE_ASSIGN_OR_RETURN(ModelDescription description,
                        describe_model(host, o.model, {.weights = true, .dtype = {}, .context = o.context}));
  TARE_ASSIGN_OR_RETURN(const int64_t weights, parse_weight_cap(o.weights, *description.program));
  const LoadOptions options{.name = "",
                            .max_step_tokens = o.chunk,
                            .max_sequences = o.sequences,
                            .memory_bytes = memory,
                            .weight_bytes = weights,
                            .deterministic = !o.free_order,
                            .references_only = o.references,
                            .layout = o.layout,
                            .objective = aim.objective,
                            .mix = std::move(aim.mix),
                            .tuning = host.tuning(info),
                            .record_steps = !o.no_graphs,
                            .show_progress = true};
  TARE_ASSIGN_OR_RETURN(PlannedModel planned,
                        plan_model(host, std::move(description), info, info.memory_bytes / 10 * 9, options));
  TARE_ASSIGN_OR_RETURN(out.model, load_model(host, std::move(planned), *out.device, options));
  return out;
}

}  // namespace tare
