#include "core/app/tune_missing.hpp"

#include <algorithm>
#include <set>

#include "autotune/store/problem_text.hpp"

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

}  // namespace tare
