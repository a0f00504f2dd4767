#include "autotune/run/problems.hpp"

#include <algorithm>

#include "autotune/store/entry.hpp"
#include "autotune/store/problem_text.hpp"
#include "core/api/ops.hpp"

namespace tare {
namespace {

void add(std::vector<TuningProblem>& to, const Problem& problem, std::string printed, std::span<const int64_t> points) {
  auto at = std::ranges::find(to, printed, &TuningProblem::printed);
  if (at == to.end()) at = to.insert(to.end(), {problem, std::move(printed), {}});
  at->problem.rows = std::max(at->problem.rows, problem.rows);
  at->points.insert(at->points.end(), points.begin(), points.end());
  std::ranges::sort(at->points);
  at->points.erase(std::unique(at->points.begin(), at->points.end()), at->points.end());
}

}  // namespace

std::vector<TuningProblem> tuning_problems(std::span<const Plan> plans) {
  std::vector<TuningProblem> out;
  for (const Plan& plan : plans)
    for (const PlanStep& step : plan.steps) {
      if (step.problem.first().op != Linear::kOp) continue;
      const int64_t point = rows_point(step.problem.rows);
      add(out, at_rows(step.problem, point), to_string(step.problem), {&point, 1});
    }
  return out;
}

void merge(std::vector<TuningProblem>& to, std::vector<TuningProblem> from) {
  for (const TuningProblem& p : from) add(to, p.problem, p.printed, p.points);
}

std::string first_op_of(std::string_view printed) { return std::string(printed.substr(0, printed.find("; "))); }

Problem at_rows(const Problem& problem, int64_t rows) {
  Problem out = problem;
  out.rows = rows;
  return out;
}

std::vector<std::string> chain_of(const Problem& problem) {
  std::vector<std::string> out;
  for (const ProblemOp& op : problem.ops) out.push_back(op.op);
  return out;
}

bool is_matrix(const ProblemOp& op, size_t position) noexcept {
  return position % 2 == 0 && op.weights[position].has_value();  // as pairs of weight and bias
}

}  // namespace tare
