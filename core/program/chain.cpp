#include "core/program/chain.hpp"

#include <algorithm>

namespace tare {
namespace {

bool among(std::span<const int32_t> list, int32_t id) { return std::ranges::find(list, id) != list.end(); }

}  // namespace

Uses uses_of(const Program& program) {
  Uses uses{std::vector<std::vector<int32_t>>(program.values.size()), std::vector<bool>(program.values.size())};
  for (size_t n = 0; n < program.nodes.size(); ++n)
    for (int32_t v : program.nodes[n].inputs) {
      auto& users = uses.users[static_cast<size_t>(v)];
      if (users.empty() || users.back() != static_cast<int32_t>(n)) users.push_back(static_cast<int32_t>(n));
    }
  for (const OutputDecl& o : program.outputs) uses.leaves[static_cast<size_t>(o.value)] = true;
  return uses;
}

std::vector<int32_t> chain_from(const Program& program, const Uses& uses, int32_t first,
                                std::span<const std::string> takes) {
  std::vector<int32_t> chain;
  std::vector<int32_t> inside;  // values that only the chain sees
  int32_t node = first;
  for (size_t i = 0; i < takes.size(); ++i) {
    const Node& n = program.nodes[static_cast<size_t>(node)];
    if (n.op != takes[i]) return {};
    if (i > 0)
      for (int32_t v : n.inputs)
        if (!among(inside, v) && program.values[static_cast<size_t>(v)].node >= first) return {};
    chain.push_back(node);
    if (i + 1 == takes.size()) break;
    int32_t next = kAbsent;
    for (int32_t r : n.results) {
      const auto& users = uses.users[static_cast<size_t>(r)];
      if (uses.leaves[static_cast<size_t>(r)] || users.size() != 1 || (next != kAbsent && users.front() != next))
        return {};
      next = users.front();
      inside.push_back(r);
    }
    if (next == kAbsent) return {};
    node = next;
  }
  return chain;
}

Problem problem_of(const PlanContext& context, std::span<const int32_t> nodes, const Bucket& bucket) {
  const Program& program = context.program;
  Problem problem;
  problem.device_kind = context.device.kind;
  problem.features = context.device.features;
  problem.units = context.device.units;
  problem.sequences = bucket.sequences;
  problem.deterministic = context.deterministic;
  problem.constants = program.constants;
  std::vector<int32_t> inside, before;  // values of the chain; results of the op before
  for (int32_t id : nodes) {
    const Node& n = program.nodes[static_cast<size_t>(id)];
    ProblemOp op;
    op.op = n.op, op.attributes = n.attributes;
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      op.inputs.push_back(program.values[static_cast<size_t>(n.inputs[i])].info);
      if (op.chain_input < 0 && among(inside, n.inputs[i])) op.chain_input = static_cast<int32_t>(i);
      if (id == nodes.front()) continue;
      const auto at = std::ranges::find(before, n.inputs[i]);
      op.chain_results.push_back(at == before.end() ? -1 : static_cast<int32_t>(at - before.begin()));
    }
    before = n.results;
    for (int32_t r : n.results) {
      op.results.push_back(program.values[static_cast<size_t>(r)].info);
      inside.push_back(r);
    }
    for (int32_t w : n.weights) {
      op.weights.emplace_back();
      if (w >= 0) op.weights.back() = weight_info(program, w);
    }
    if (n.state >= 0) op.state = program.states[static_cast<size_t>(n.state)].kind;
    problem.ops.push_back(std::move(op));
  }
  const auto& results = problem.ops.front().results;
  problem.rows = results.empty() ? bucket.tokens : bucket.rows(results.front().shape);
  return problem;
}

void bind_operands(const Program& program, PlanStep& step) {
  std::vector<int32_t> inside;
  for (int32_t id : step.nodes) {
    const Node& n = program.nodes[static_cast<size_t>(id)];
    for (int32_t v : n.inputs)
      if (!among(inside, v)) step.inputs.push_back(v);
    step.weights.insert(step.weights.end(), n.weights.begin(), n.weights.end());
    inside.insert(inside.end(), n.results.begin(), n.results.end());
    if (n.state >= 0) step.state = n.state;
  }
  step.outputs = program.nodes[static_cast<size_t>(step.nodes.back())].results;
}

}  // namespace tare
