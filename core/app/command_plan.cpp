// tare plan MODEL: one layout for each matrix under a memory budget, predicted bytes and time; loads no weight.
#include <iostream>

#include "core/app/bandwidth.hpp"
#include "core/app/cli.hpp"
#include "core/app/described_plan.hpp"
#include "core/app/step_probe.hpp"
#include "core/app/tuning_problems.hpp"

namespace tare {
namespace {

struct Options {
  ModelOptions model;
  std::string sku;
  int64_t ranks = 1;
  bool as_json = false;
};

Result<SkuDescription> described(const Host& host, const std::string& slug) {
  std::vector<std::string> known;
  for (SkuDescription& s : sku_table(host.tuning_places(), host.log())) {
    if (s.sku == slug) return std::move(s);
    known.push_back(s.sku);
  }
  std::string all;
  for (const std::string& s : known) all += (all.empty() ? "" : ", ") + s;
  return failure(Code::not_found, "the SKU '", slug, "' is not described", known.empty() ? "" : ", expected one of ",
                 all);
}

Result<PlanReport> report(const Host& host, const Options& o) {
  TARE_ASSIGN_OR_RETURN(LayoutAim aim, parse_aim(o.model.objective));
  TARE_ASSIGN_OR_RETURN(
      ModelDescription description,
      describe_model(host, o.model.model, {.weights = false, .dtype = {}, .context = o.model.context}));
  LoadOptions options{.name = "",
                      .max_step_tokens = o.model.chunk,
                      .max_sequences = o.model.sequences,
                      .deterministic = !o.model.free_order,
                      .layout = o.model.layout,
                      .objective = aim.objective,
                      .mix = std::move(aim.mix)};
  if (!o.sku.empty()) {
    TARE_ASSIGN_OR_RETURN(const SkuDescription sku, described(host, o.sku));
    TARE_ASSIGN_OR_RETURN(options.memory_bytes, parse_memory(o.model.memory, sku.memory_bytes));
    TARE_ASSIGN_OR_RETURN(options.weight_bytes, parse_weight_cap(o.model.weights, *description.program));
    return plan_described(host, description, sku, o.ranks, options);
  }
  if (o.ranks > 1)
    return failure(Code::unsupported, "this version runs on one rank here: plans for ", o.ranks,
                   " ranks need --sku, a described device");
  TARE_ASSIGN_OR_RETURN(const auto device, host.open_device(o.model.device, {.threads = o.model.threads}));
  const DeviceInfo& info = device->info();
  TARE_ASSIGN_OR_RETURN(options.memory_bytes, parse_memory(o.model.memory, info.memory_bytes));
  TARE_ASSIGN_OR_RETURN(options.weight_bytes, parse_weight_cap(o.model.weights, *description.program));
  options.tuning = host.tuning(info);
  TARE_ASSIGN_OR_RETURN(const PlannedModel planned,
                        plan_model(host, std::move(description), info, info.memory_bytes / 10 * 9, options));
  const bool streamed = options.tuning != nullptr && options.tuning->best_gb_s() > 0;
  const DeviceRates rates =
      rates_of(info, options.tuning.get(), streamed ? 0 : read_bandwidth(*device) / 1e9, "read now");
  const auto probe = [&](const Plan& plan, const StepCase& what) {
    auto out = probe_step(*device, plan, *planned.description.program, planned.settlement, host.registry(), what,
                          cold_cpu_bytes());
    if (!out.ok()) host.log().debug(out.status().message());  // estimates stand in
    return out.ok() ? std::move(*out) : std::vector<double>();
  };
  return report_of(planned, info, host.registry(), options, rates, probe);
}

int run(const CommandLine& line, const Options& o) {
  const auto host = line.host();
  if (!host.ok()) return fail(host.status());
  const auto planned = report(**host, o);
  if (!planned.ok()) return fail(planned.status());
  if (o.as_json)
    std::cout << to_json(*planned) << '\n';
  else
    print(*planned, std::cout);
  return 0;
}

}  // namespace

void add_plan(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand(
      "plan", "Choose a layout for each matrix under a memory budget, and predict bytes and time; loads no weight");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("--sku", o->sku, "A described device instead of one that is here: nvidia-h100-sxm, ...");
  command->add_option("--ranks", o->ranks, "Devices that share the model; with --sku")->check(CLI::Range(1, 1024));
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
