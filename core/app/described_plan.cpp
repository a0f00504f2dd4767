#include "core/app/described_plan.hpp"

#include <algorithm>
#include <map>

#include "core/app/pipelines.hpp"
#include "core/program/distribute.hpp"

namespace tare {
namespace {

// No kernel was asked: the most that one op reads and writes in a full step, twice, for what lives beside it.
int64_t workspace_of(const Program& program, const ExecutorOptions& executor) {
  const Bucket bucket{executor.max_step_tokens, executor.max_sequences, executor.max_sequences};
  int64_t most = 0;
  for (const Node& node : program.nodes) {
    if (node.entry != 0) continue;
    int64_t bytes = 0;
    for (const std::vector<int32_t>* values : {&node.inputs, &node.results})
      for (const int32_t v : *values) bytes += bucket.bytes(program.values[static_cast<size_t>(v)].info);
    most = std::max(most, bytes);
  }
  return 2 * most;
}

int64_t plain_bytes(const WeightInfo& info) { return info.outputs() * info.inputs() * size_of(info.dtype); }

// "w12" of "w12/cpu-tiles": the order is the device's affair.
std::string code_of(const std::string& layout) { return layout.substr(0, layout.find('/')); }

void add_rows(const Program& program, const Registry& registry, const std::vector<std::string>& layouts,
              const DeviceRates& rates, PlanReport& out) {
  std::vector<bool> counted(program.weights.size());
  std::map<std::string, size_t> at;
  for (const Node& node : program.nodes) {
    if (node.op != Linear::kOp || node.entry != 0) continue;
    PlanRow row{.matrices = matrices_of(program, node), .sizes = sizes_of(program, node), .layout = ""};
    int64_t read = 0;
    for (size_t p = 0; p < node.weights.size(); p += 2) {
      const int32_t w = node.weights[p];
      if (w < 0) continue;
      const std::string& id = layouts[static_cast<size_t>(w)];
      const Layout* layout = registry.layout(id);
      const WeightInfo info = weight_info(program, w);
      const int64_t bytes = layout != nullptr ? laid_out_bytes(program, w, *layout) : plain_bytes(info);
      if (const std::string code = code_of(id); row.layout.find(code) == std::string::npos)
        row.layout += (row.layout.empty() ? "" : ", ") + code;
      read += bytes;
      if (counted[static_cast<size_t>(w)]) continue;
      counted[static_cast<size_t>(w)] = true;
      row.bytes += bytes, row.plain_bytes += plain_bytes(info);
    }
    row.count = 1, row.seconds = rates.gb_s > 0 ? static_cast<double>(read) / (rates.gb_s * 1e9) : 0;
    const auto [found, fresh] = at.try_emplace(text(row.matrices, '\n', row.sizes, '\n', row.layout), out.rows.size());
    if (fresh) {
      out.rows.push_back(std::move(row));
      continue;
    }
    PlanRow& sum = out.rows[found->second];
    ++sum.count, sum.bytes += row.bytes, sum.plain_bytes += row.plain_bytes, sum.seconds += row.seconds;
  }
}

}  // namespace

Result<PlanReport> plan_described(const Host& host, const ModelDescription& description, const SkuDescription& sku,
                                  int64_t ranks, const LoadOptions& options) {
  Program program = *description.program;
  if (ranks > 1) {
    auto local = distribute(program, {.ranks = ranks}, host.ops());
    if (!local.ok()) {
      const std::string& all = local.status().message();  // a reason a line
      const auto more = std::ranges::count(all, '\n');
      return failure(local.status().code(), description.checkpoint.name, " over ", ranks,
                     " ranks: ", all.substr(0, all.find('\n')),
                     more > 0 ? text(", and ", more, " more of the kind") : "");
    }
    program = std::move(*local);
  }
  PlanReport out;
  out.model = description.checkpoint.name, out.device = sku.device, out.sku = sku.sku;
  out.objective =
      print_objective({.name = "", .source = "", .layout = "", .objective = options.objective, .mix = options.mix});
  out.ranks = ranks, out.described = true, out.context = description.context;
  out.budget = options.memory_bytes > 0 ? options.memory_bytes : sku.memory_bytes / 10 * 9;
  const ExecutorOptions executor{.context = description.context,
                                 .max_step_tokens = options.max_step_tokens,
                                 .max_sequences = std::min(options.max_sequences, options.max_step_tokens)};
  out.memory.workspace = workspace_of(program, executor);
  const DeviceRates rates = rates_of(to_device_info(sku), nullptr, sku.gb_s, "as the table of SKUs has it");
  out.rates = text(sku.gb_s, " GB/s, ", rates.basis);

  const StateReserve reserve = state_reserve(program, executor, out.budget);
  std::optional<LayoutChoice> choice;
  for (const int64_t state : {reserve.wanted, reserve.least}) {
    LayoutAim aim = options.aim();
    aim.weight_bytes = std::max<int64_t>(1, out.budget - out.memory.workspace - state);
    if (options.weight_bytes > 0) aim.weight_bytes = std::min(aim.weight_bytes, options.weight_bytes);
    auto chosen = choose_codes(program, host.registry(), aim, rates, options.layout);
    if (chosen.ok()) {
      choice = std::move(*chosen);
      break;
    }
    if (state == reserve.least || chosen.status().code() != Code::exhausted)
      return failure(chosen.status().code(), out.model, ranks > 1 ? ": on each rank " : ": ", chosen.status().message(),
                     "; workspace takes ", out.memory.workspace, " and state at least ", state, " of a budget of ",
                     out.budget, " bytes");
  }
  for (size_t w = 0; w < program.weights.size(); ++w) {
    const Layout* layout = host.registry().layout(choice->layouts[w]);
    const int64_t plain = plain_bytes(weight_info(program, static_cast<int32_t>(w)));
    out.memory.weights += layout != nullptr ? laid_out_bytes(program, static_cast<int32_t>(w), *layout) : plain;
    out.plain_bytes += plain;
  }
  std::vector<int32_t> pages;
  TARE_RETURN_IF_ERROR(size_state(program, executor, out.budget, out.model, out.memory, pages));
  add_rows(program, host.registry(), choice->layouts, rates, out);
  out.other_bytes = out.memory.weights;
  double seconds = 0;
  for (const PlanRow& row : out.rows) out.other_bytes -= row.bytes, seconds += row.seconds;
  if (rates.gb_s > 0)
    out.other_seconds = static_cast<double>(out.memory.state_bytes_per_token * kPredictedContext) / (rates.gb_s * 1e9);
  out.steps.push_back({1, seconds + out.other_seconds, 0});
  out.notes.push_back("the device is only described: no kernel was asked, launches are left out");
  if (ranks > 1) out.notes.push_back("what ranks send each other is left out of the time");
  return out;
}

}  // namespace tare
