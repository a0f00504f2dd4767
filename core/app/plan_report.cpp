#include "core/app/plan_report.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <iomanip>
#include <map>
#include <ostream>
#include <sstream>

#include "core/app/pipelines.hpp"
#include "core/base/progress.hpp"

namespace tare {
namespace {

int64_t plain_bytes(const Program& program, int32_t weight) {
  const WeightInfo info = weight_info(program, weight);
  return info.outputs() * info.inputs() * size_of(info.dtype);
}

std::string milliseconds(double seconds) {
  std::ostringstream out;
  const double ms = seconds * 1e3;
  out << std::fixed << std::setprecision(ms < 10 ? 2 : ms < 100 ? 1 : 0) << ms << " ms";
  return out.str();
}
std::string percent(double share) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << 100 * share << " %";
  return out.str();
}

}  // namespace

PlanReport report_of(const PlannedModel& model, const DeviceInfo& device, const Registry& registry,
                     const LoadOptions& options, const DeviceRates& rates, const StepProber& probe) {
  const Program& program = *model.description.program;
  const Plan& decode = model.plans.front();
  PlanReport out;
  out.model = model.description.checkpoint.name, out.device = device.name, out.sku = device.sku;
  out.objective =
      print_objective({.name = "", .source = "", .layout = "", .objective = options.objective, .mix = options.mix});
  out.memory = model.memory, out.budget = model.budget, out.context = model.executor.context;
  out.rates = rates.basis;
  std::vector<bool> counted(program.weights.size());
  std::map<std::string, size_t> at;
  for (const PlanStep& step : decode.steps) {
    const Node& node = program.nodes[static_cast<size_t>(step.nodes.front())];
    if (node.op != Linear::kOp) continue;
    const StepTime time =
        time_of(step, program, model.settlement, registry, options.tuning.get(), rates, case_of(1, 1));
    PlanRow row{.matrices = matrices_of(program, node),
                .sizes = sizes_of(program, node),
                .layout = layouts_of(model.settlement, node)};
    const auto [found, fresh] = at.try_emplace(text(row.matrices, '\n', row.sizes, '\n', row.layout), out.rows.size());
    if (fresh) row.measured = true, out.rows.push_back(std::move(row));
    PlanRow& sum = out.rows[found->second];
    ++sum.count, sum.seconds += time.seconds, sum.measured = sum.measured && time.measured;
    for (size_t p = 0; p < node.weights.size(); p += 2) {
      const int32_t w = node.weights[p];
      if (w < 0 || counted[static_cast<size_t>(w)]) continue;
      counted[static_cast<size_t>(w)] = true;
      const Layout* layout = registry.layout(model.settlement.layouts[static_cast<size_t>(w)]);
      sum.bytes += layout != nullptr ? laid_out_bytes(program, w, *layout) : plain_bytes(program, w);
      sum.plain_bytes += plain_bytes(program, w);
    }
  }
  out.other_bytes = model.memory.weights;
  for (const PlanRow& row : out.rows) out.other_bytes -= row.bytes;
  for (size_t w = 0; w < program.weights.size(); ++w) out.plain_bytes += plain_bytes(program, static_cast<int32_t>(w));
  std::vector<BatchShare> points{{1, 1}};
  for (const BatchShare& share : options.aim().shares())
    if (share.rows > 1) points.push_back(share);
  for (const BatchShare& point : points) {
    auto plan = std::ranges::find_if(model.plans, [&](const Plan& p) { return p.bucket.tokens >= point.rows; });
    if (plan == model.plans.end()) --plan;
    const StepCase what = case_of(std::min(point.rows, plan->bucket.tokens), plan->bucket.sequences);
    std::vector<double> probed;
    if (probe) probed = probe(*plan, what);
    const PredictedStep step =
        predict(*plan, program, model.settlement, registry, options.tuning.get(), rates, what, probed);
    if (point.rows == 1) out.other_seconds = step.other, out.other_measured = step.other_measured > step.other / 2;
    out.steps.push_back({point.rows, step.seconds(),
                         step.seconds() > 0 ? (step.measured + step.other_measured) / step.seconds() : 0,
                         what.sequences > 1 || point.rows == 1});
  }
  for (const std::string& note : model.description.checkpoint.notes) out.notes.push_back(note);
  return out;
}

void print(const PlanReport& r, std::ostream& out) {
  out << r.model << " on " << r.device << (r.sku.empty() ? "" : " (" + r.sku + ")")
      << (r.ranks > 1 ? text(", each of ", r.ranks, " ranks") : "") << ", objective " << r.objective << "\n\n";
  size_t names = 8, sizes = 5, layouts = 6;
  for (const PlanRow& row : r.rows) {
    names = std::max(names, row.matrices.size());
    sizes = std::max(sizes, row.sizes.size());
    layouts = std::max(layouts, row.layout.size());
  }
  const auto line = [&](const std::string& count, const std::string& name, const std::string& size,
                        const std::string& layout, const std::string& bytes, const std::string& share,
                        const std::string& time) {
    out << "  " << std::setw(5) << count << "  " << std::left << std::setw(static_cast<int>(names)) << name << "  "
        << std::setw(static_cast<int>(sizes)) << size << "  " << std::setw(static_cast<int>(layouts)) << layout
        << std::right << std::setw(12) << bytes << std::setw(10) << share << std::setw(12) << time << '\n';
  };
  const auto share_of = [](int64_t bytes, int64_t plain) {
    return plain > 0 ? percent(static_cast<double>(bytes) / static_cast<double>(plain)) : std::string();
  };
  line("count", "matrices", "sizes", "layout", "bytes", "of plain", "a token");
  for (const PlanRow& row : r.rows)
    line(std::to_string(row.count), row.matrices, row.sizes, row.layout, human_bytes(row.bytes),
         share_of(row.bytes, row.plain_bytes), milliseconds(row.seconds) + (row.measured ? " " : "~"));
  line("", "other", "", "", human_bytes(r.other_bytes), "",
       milliseconds(r.other_seconds) + (r.other_measured ? " " : "~"));
  line("", "total", "", "", human_bytes(r.memory.weights), share_of(r.memory.weights, r.plain_bytes),
       milliseconds(r.steps.front().seconds) + (r.steps.front().measured_share > 0.5 ? " " : "~"));
  out << '\n';
  for (const StepPrediction& s : r.steps)
    out << "  a step of " << s.rows
        << (s.rows == 1 ? " token"
            : s.answers ? " sequences"
                        : " prompt tokens")
        << ": " << milliseconds(s.seconds) << ", "
        << static_cast<int64_t>(std::llround(static_cast<double>(s.rows) / s.seconds)) << " tokens/s predicted, "
        << percent(s.measured_share) << " of it measured\n";
  out << "  ~ is an estimate: bytes over bandwidth (" << r.rates << ") and arithmetic, no measurement\n\n";
  out << "memory " << (r.ranks > 1 ? "of each rank" : "") << (r.ranks > 1 ? ", " : "") << "budget "
      << human_bytes(r.budget) << "\n  weights    " << std::setw(12) << human_bytes(r.memory.weights)
      << "\n  workspace  " << std::setw(12) << human_bytes(r.memory.workspace) << "\n  state      " << std::setw(12)
      << human_bytes(r.memory.state) << "  " << r.memory.state_tokens << " tokens of "
      << human_bytes(r.memory.state_bytes_per_token) << ", contexts of up to " << r.context << '\n';
  for (const std::string& note : r.notes) out << "  note: " << note << '\n';
}

std::string to_json(const PlanReport& r) {
  boost::json::array rows, steps;
  for (const PlanRow& row : r.rows)
    rows.push_back({{"matrices", row.matrices},
                    {"count", row.count},
                    {"sizes", row.sizes},
                    {"layout", row.layout},
                    {"bytes", row.bytes},
                    {"plain_bytes", row.plain_bytes},
                    {"seconds", row.seconds},
                    {"measured", row.measured}});
  for (const StepPrediction& s : r.steps)
    steps.push_back({{"rows", s.rows},
                     {"of", s.answers ? "sequences" : "prompt"},
                     {"seconds", s.seconds},
                     {"measured_share", s.measured_share}});
  return boost::json::serialize(boost::json::object{{"model", r.model},
                                                    {"device", r.device},
                                                    {"sku", r.sku},
                                                    {"ranks", r.ranks},
                                                    {"described", r.described},
                                                    {"objective", r.objective},
                                                    {"rows", rows},
                                                    {"other_bytes", r.other_bytes},
                                                    {"other_seconds", r.other_seconds},
                                                    {"plain_bytes", r.plain_bytes},
                                                    {"steps", steps},
                                                    {"rates", r.rates},
                                                    {"budget", r.budget},
                                                    {"memory",
                                                     {{"weights", r.memory.weights},
                                                      {"workspace", r.memory.workspace},
                                                      {"state", r.memory.state},
                                                      {"state_tokens", r.memory.state_tokens},
                                                      {"state_bytes_per_token", r.memory.state_bytes_per_token},
                                                      {"total", r.memory.total()}}},
                                                    {"notes", boost::json::array(r.notes.begin(), r.notes.end())}});
}

}  // namespace tare
