#include "core/app/tune_missing.hpp"

#include <algorithm>
#include <set>

#include "autotune/run/tuner.hpp"
#include "autotune/store/problem_text.hpp"
#include "core/app/bandwidth.hpp"
#include "core/app/device_data.hpp"
#include "core/app/device_use.hpp"
#include "core/app/version.hpp"

namespace tare {

std::vector<MissingProblem> missing_of(const PlannedModel& model) {
  std::vector<MissingProblem> out;
  std::set<std::pair<std::string, int64_t>> seen;
  const Program& program = *model.description.program;
  for (const Plan& plan : model.plans)
    for (const PlanStep& step : plan.steps) {
      if (step.problem.first().op != Linear::kOp || step.choice.ending != Ending::rule) continue;
      const Node& node = program.nodes[static_cast<size_t>(step.nodes.front())];
      MissingProblem missing{matrices_of(program, node), to_string(step.problem), layouts_of(model.settlement, node),
                             rows_point(step.problem.rows)};
      if (seen.emplace(missing.problem + missing.layout, missing.rows).second) out.push_back(std::move(missing));
    }
  return out;
}

std::string missing_sentence(std::span<const MissingProblem> missing, const std::string& name, const std::string& path,
                             const DeviceInfo& device) {
  std::string first;
  for (size_t i = 0; i < std::min<size_t>(3, missing.size()); ++i)
    first += text(i > 0 ? ", " : "", "'", missing[i].problem, "' in ", missing[i].layout, " at ", missing[i].rows,
                  missing[i].rows == 1 ? " row (" : " rows (", missing[i].matrices, ")");
  return text("model '", name, "': ", missing.size(), missing.size() == 1 ? " problem was" : " problems were",
              " never measured on ", device.sku, ", the first ", std::min<size_t>(3, missing.size()), ": ", first,
              "; `tare autotune ", path, " --device ", device.id, "` measures them");
}

Status tune_missing(const Host& host, Device& device, const PlannedModel& model, const std::string& layout,
                    double seconds) {
  const std::string& path = host.tuning_places().database;
  if (path.empty()) return failure(Code::unavailable, "[tuning] database is \"none\": what is measured cannot be kept");
  const DeviceInfo info = with_sku(device.info(), sku_table(host.tuning_places(), host.log()));
  TARE_ASSIGN_OR_RETURN(TuningDatabase::Opened opened, TuningDatabase::open(path));
  if (!opened.note.empty()) host.log().warning(opened.note);
  TARE_ASSIGN_OR_RETURN(const auto lock, TuningLock::take(path, info.sku));
  // Serving chooses no order of sums: the one that the model runs in now is kept, so that no token changes.
  for (const Plan& plan : model.plans)
    for (const PlanStep& step : plan.steps)
      if (step.problem.first().op == Linear::kOp) {
        TARE_ASSIGN_OR_RETURN(
            const std::string kept,
            opened.database->keep_numerics(info.sku, first_op_of(to_string(step.problem)), step.choice.numerics));
        static_cast<void>(kept);
      }
  const std::vector<TuningProblem> problems = tuning_problems(model.plans);
  const std::string others = others_on(info, path);
  if (!others.empty())
    host.log().warning(
        text(info.id, " is used by others (", others, "): figures may be wrong, and are marked as shared"));
  TunerOptions options;
  if (!layout.empty()) options.layouts.push_back(layout);
  options.budget = seconds, options.versions = provenance(!others.empty());
  options.bytes_per_second = read_bandwidth(device);
  const std::unique_ptr<DeviceData> data = device_data(host, device);
  options.data = data.get();
  int64_t said = -1;
  options.progress = [&](const TunerProgress& p) {
    const int64_t tenth = p.total > 0 ? 10 * p.done / p.total : 0;
    if (std::exchange(said, tenth) != tenth) host.log().info(text("tuning ", p.done, " of ", p.total, ": ", p.doing));
  };
  auto outcome = tune(device, info, host.registry(), problems, *opened.database, options);
  return outcome.ok() ? Status() : std::move(outcome).status();
}

}  // namespace tare
