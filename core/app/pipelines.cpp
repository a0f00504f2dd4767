#include "core/app/pipelines.hpp"

#include <algorithm>
#include <map>

#include "autotune/store/problem_text.hpp"
#include "core/api/ops.hpp"

namespace tare {
namespace {

// "model.layers.3.mlp.gate_proj.weight" -> "mlp.gate_proj".
std::string short_name(const std::string& name, int32_t layer) {
  std::string out = name;
  if (const std::string mark = text(".", layer, "."); layer >= 0)
    if (const size_t at = out.find(mark); at != out.npos) out = out.substr(at + mark.size());
  if (out.ends_with(".weight")) out.resize(out.size() - 7);
  return out;
}

}  // namespace

std::string matrices_of(const Program& program, const Node& node) {
  std::string out;
  for (size_t position = 0; position < node.weights.size(); position += 2) {
    if (node.weights[position] < 0) continue;
    const WeightDecl& weight = program.weights[static_cast<size_t>(node.weights[position])];
    const std::string name = short_name(weight.name, weight.layer);
    const size_t dot = out.empty() ? std::string::npos : out.rfind('.', out.find('+'));
    // Neighbours in one module are named once.
    const bool same = dot != std::string::npos && name.compare(0, dot + 1, out, 0, dot + 1) == 0;
    out += (out.empty() ? "" : "+") + (same ? name.substr(dot + 1) : name);
  }
  return out;
}

std::string sizes_of(const Program& program, const Node& node) {
  std::string outputs;
  int64_t inputs = 0;
  for (size_t position = 0; position < node.weights.size(); position += 2) {
    if (node.weights[position] < 0) continue;
    const WeightInfo info = weight_info(program, node.weights[position]);
    outputs += text(outputs.empty() ? "" : "+", info.outputs());
    inputs = info.inputs();
  }
  return text(outputs, " x ", inputs);
}

std::string layouts_of(const Settlement& settlement, const Node& node) {
  std::string out;
  for (size_t position = 0; position < node.weights.size(); position += 2) {
    if (node.weights[position] < 0) continue;
    const std::string& layout = settlement.layouts[static_cast<size_t>(node.weights[position])];
    if (out.find(layout) == std::string::npos) out += (out.empty() ? "" : ", ") + layout;
  }
  return out;
}

std::string layouts_line(const Program& program, const Settlement& settlement) {
  std::map<std::string, int64_t> by_layout;
  for (const Node& node : program.nodes)
    if (node.op == Linear::kOp && node.entry == 0) ++by_layout[layouts_of(settlement, node)];
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [layout, count] : by_layout) sorted.emplace_back(-count, layout);
  std::ranges::sort(sorted);
  std::string out;
  for (const auto& [count, layout] : sorted)
    out += text(out.empty() ? "" : ", ", -count, out.empty() ? " products in " : " in ", layout);
  return out;
}

std::vector<PipelineGroup> pipelines_of(const Program& program, const Settlement& settlement,
                                        std::span<const Plan> plans, const TuningStore* tuning) {
  // By node first: its steps in all buckets; then nodes that are alike become one group.
  std::map<int32_t, PipelineGroup> by_node;
  for (const Plan& plan : plans)
    for (const PlanStep& step : plan.steps) {
      const Node& node = program.nodes[static_cast<size_t>(step.nodes.front())];
      if (node.op != Linear::kOp) continue;
      PipelineGroup& group = by_node[step.nodes.front()];
      group.matrices = matrices_of(program, node), group.count = 1;
      group.sizes = sizes_of(program, node), group.layout = layouts_of(settlement, node);
      const int64_t rows = step.problem.rows;
      if (!group.ranges.empty() && group.ranges.back().last >= rows) continue;  // logit rows stop growing
      const std::string problem = to_string(step.problem);
      if (std::ranges::find(group.problems, problem) == group.problems.end()) group.problems.push_back(problem);
      PipelineRange range{.first = group.ranges.empty() ? 1 : group.ranges.back().last + 1,
                          .last = rows,
                          .kernel = std::string(step.choice.kernel->id()),
                          .config = step.choice.config.empty() ? "" : to_string(step.choice.config),
                          .numerics = step.choice.numerics,
                          .ending = step.choice.ending,
                          .note = step.choice.note};
      if (tuning != nullptr && range.ending != Ending::rule)
        if (const auto found = tuning->look_up(problem, group.layout, range.numerics, rows); found.entry != nullptr)
          range.us = found.entry->value.us;
      group.ranges.push_back(std::move(range));
    }
  std::vector<PipelineGroup> out;
  std::map<std::string, size_t> at;
  for (auto& [node, group] : by_node) {
    std::string key = text(group.matrices, '\n', group.sizes, '\n', group.layout);
    for (const PipelineRange& r : group.ranges) key += text('\n', r.last, ' ', r.kernel, r.config, r.note);
    const auto [found, fresh] = at.try_emplace(key, out.size());
    if (fresh)
      out.push_back(std::move(group));
    else
      ++out[found->second].count;
  }
  return out;
}

}  // namespace tare
