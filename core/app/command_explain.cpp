// tare explain MODEL: the Program, the Plan of a batch and the memory ledger, without loading a weight.
#include <boost/json.hpp>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/explain.hpp"
#include "core/program/program_text.hpp"

namespace tare {
namespace {

struct Options {
  ModelOptions model;
  int64_t batch = 1;
  bool as_json = false, program_text = false;
};

int run(const CommandLine& line, const Options& o) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host* host = opened_host->get();
  auto device = host->open_device(o.model.device, {.threads = o.model.threads, .memory_bytes = 0});
  if (!device.ok()) return fail(device.status());
  auto description = describe_model(*host, o.model.model, {.weights = false, .dtype = {}, .context = o.model.context});
  if (!description.ok()) return fail(description.status());
  if (o.program_text) {
    std::cout << print_program(*description->traced);
    return 0;
  }
  const DeviceInfo& info = (*device)->info();
  auto memory = parse_memory(o.model.memory, info.memory_bytes);
  if (!memory.ok()) return fail(memory.status());
  const auto aim = parse_aim(o.model.objective);
  if (!aim.ok()) return fail(aim.status());
  const auto tuning = host->tuning(info);
  const auto weights = parse_weight_cap(o.model.weights, *description->program);
  if (!weights.ok()) return fail(weights.status());
  auto planned = plan_model(*host, std::move(*description), info, info.memory_bytes,
                            {.name = "",
                             .max_step_tokens = o.model.chunk,
                             .max_sequences = o.model.sequences,
                             .memory_bytes = *memory,
                             .weight_bytes = *weights,
                             .deterministic = !o.model.free_order,
                             .references_only = o.model.references,
                             .layout = o.model.layout,
                             .objective = aim->objective,
                             .mix = aim->mix,
                             .tuning = tuning});
  if (!planned.ok()) return fail(planned.status());
  const Plan* plan = &planned->plans.back();
  for (const Plan& p : planned->plans)
    if (p.bucket.tokens >= o.batch) {
      plan = &p;
      break;
    }
  if (o.as_json)
    std::cout << explain_json(*planned, *plan, tuning.get()) << '\n';
  else
    explain(*planned, *plan, info, tuning.get(), std::cout);
  return 0;
}

}  // namespace

void add_explain(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("explain", "Print a model's Program, Plan and memory ledger; loads no weight");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("--batch", o->batch, "Tokens of the step whose Plan is shown")->check(CLI::PositiveNumber);
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->add_flag("--program", o->program_text, "Print the Program's text form (tare-program 1) and nothing else");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
