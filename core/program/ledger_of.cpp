#include "core/program/ledger_of.hpp"

#include <algorithm>
#include <set>

namespace tare {
namespace {

LinearProblem problem_of(const Program& program, const Node& node) {
  LinearProblem out;
  out.parts = static_cast<int64_t>(node.results.size());
  out.dtype = program.dtype;
  for (size_t i = 0; i < node.weights.size(); i += 2) {
    const WeightDecl& weight = program.weights[static_cast<size_t>(node.weights[i])];
    const auto outputs =
        static_cast<std::ptrdiff_t>(weight.shape.size()) - static_cast<std::ptrdiff_t>(weight.input_dims);
    out.inputs = elements(Shape(weight.shape.begin() + outputs, weight.shape.end()));
    out.outputs += elements(Shape(weight.shape.begin(), weight.shape.begin() + outputs));
    out.dtype = weight.dtype.value_or(program.dtype);
  }
  out.rows = program.values[static_cast<size_t>(node.inputs[0])].info.shape[0].axis;
  out.f32 =
      program.values[static_cast<size_t>(node.results[0])].info.dtype == DType::f32 && program.dtype != DType::f32;
  return out;
}

template <class List, class Same>
auto& found_or_added(List& list, Same same, typename List::value_type fresh) {
  const auto at = std::ranges::find_if(list, same);
  if (at != list.end()) return *at;
  list.push_back(std::move(fresh));
  return list.back();
}

}  // namespace

std::string to_string(const LinearProblem& p) {
  return text(name(p.dtype), " N=", p.outputs, p.parts > 1 ? text(" (", p.parts, " parts)") : "", " K=", p.inputs,
              p.f32 ? ", f32 results" : "", p.rows == Axis::logit_rows ? ", a row for each logit row" : "");
}

ProgramLedger ledger_of(const Program& program, int32_t entry) {
  ProgramLedger out;
  std::set<int32_t> weights, states;
  for (const Node& node : program.nodes) {
    if (entry >= 0 && node.entry != entry) continue;
    for (int32_t w : node.weights)
      if (w >= 0) weights.insert(w);
    if (node.state >= 0) states.insert(node.state);
    if (node.op == Linear::kOp) {
      const LinearProblem problem = problem_of(program, node);
      ++found_or_added(out.problems, [&](const auto& p) { return p.problem == problem; }, {problem, 0}).count;
    }
    if (node.op == AllReduce::kOp || node.op == AllGather::kOp)
      ++found_or_added(out.collectives, [&](const auto& c) { return c.op == node.op; }, {node.op, 0}).count;
  }
  for (int32_t w : weights) {
    const WeightDecl& weight = program.weights[static_cast<size_t>(w)];
    out.parameters += elements(weight.shape);
    out.weight_bytes += elements(weight.shape) * size_of(weight.dtype.value_or(program.dtype));
  }
  for (const auto& table : program.constants) out.table_bytes += static_cast<int64_t>(table.size() * sizeof(float));
  for (int32_t s : states) {
    const StateDecl& state = program.states[static_cast<size_t>(s)];
    int64_t bytes = 0;
    for (const Shape& part : state.parts) bytes += elements(part) * size_of(program.dtype);
    ++found_or_added(out.states, [&](const auto& g) { return g.kind == state.kind && g.bytes_per_token == bytes; },
                     {state.kind, 0, bytes})
          .layers;
  }
  return out;
}

std::string grouped(int64_t number) {
  const std::string digits = std::to_string(number);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    out += digits[i];
    const size_t left = digits.size() - 1 - i;
    if (left > 0 && left % 3 == 0 && digits[i] != '-') out += '\'';
  }
  return out;
}

}  // namespace tare
