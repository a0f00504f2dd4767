#include "plugins/linear/cpu_problem.hpp"

#include <algorithm>

namespace tare::linear {
namespace {

bool is_float(DType dtype) noexcept { return dtype == DType::bf16 || dtype == DType::f32; }

int64_t row_elements(const TensorInfo& tensor) noexcept {
  int64_t count = 1;
  for (size_t i = 1; i < tensor.shape.size(); ++i) count *= tensor.shape[i].size;
  return count;
}

Verdict read_products(const ProblemOp& op, LinearShape& shape) {
  if (op.inputs.size() != 1 || op.results.empty() || op.weights.size() != 2 * op.results.size())
    return Verdict::no("linear has ", op.inputs.size(), " inputs, ", op.weights.size(), " weights and ",
                       op.results.size(), " results, expected 1, two for each result and 1 or more");
  shape.x = op.inputs[0].dtype;
  for (size_t i = 0; i < op.results.size(); ++i) {
    const auto& weight = op.weights[2 * i];
    const auto& bias = op.weights[2 * i + 1];
    if (!weight) return Verdict::no("linear's weight ", 2 * i, " is absent");
    const int64_t n = weight->outputs(), k = weight->inputs();
    if (i == 0) shape.inputs = k, shape.weight = weight->dtype;
    if (k < 1 || n < 1) return Verdict::no(weight->name, " is [", n, ", ", k, "], expected 1 or more of both");
    if (k != shape.inputs || k != row_elements(op.inputs[0]))
      return Verdict::no(weight->name, " sums over ", k, " inputs, x has ", row_elements(op.inputs[0]));
    if (weight->dtype != shape.weight)
      return Verdict::no("stacked weights are ", name(shape.weight), " and ", name(weight->dtype));
    if (bias && bias->outputs() * bias->inputs() != n)
      return Verdict::no(bias->name, " has ", bias->outputs() * bias->inputs(), " numbers, expected ", n);
    if (row_elements(op.results[i]) != n)
      return Verdict::no("result ", i, " has rows of ", row_elements(op.results[i]), ", the weight gives ", n);
    if (!is_float(op.results[i].dtype)) return Verdict::no("a result is ", name(op.results[i].dtype));
    shape.products.push_back({n, bias.has_value(), op.results[i].dtype});
  }
  return Verdict::yes();
}

Verdict read_add(const ProblemOp& op, LinearShape& shape) {
  if (shape.products.size() != 1) return Verdict::no("add follows ", shape.products.size(), " stacked products");
  if (op.inputs.size() != 2 || op.chain_input < 0 || op.chain_input > 1)
    return Verdict::no("add does not take the product and one other value");
  const TensorInfo& other = op.inputs[static_cast<size_t>(1 - op.chain_input)];
  if (row_elements(other) != shape.products[0].outputs || !is_float(other.dtype))
    return Verdict::no("the other addend has another shape or type");
  return Verdict::yes();
}

Verdict read_gated(const ProblemOp& op, LinearShape& shape) {
  if (shape.products.size() != 2 || op.inputs.size() != 2)
    return Verdict::no("gated follows ", shape.products.size(), " stacked products, expected gate and up");
  if (op.chain_results.size() != 2 || op.chain_results[0] == op.chain_results[1] || op.chain_results[0] < 0 ||
      op.chain_results[1] < 0)
    return Verdict::no("gated does not take both products");
  shape.swapped = op.chain_results[0] == 1;
  const Product &gate = shape.products[0], &up = shape.products[1];
  if (gate.outputs != up.outputs) return Verdict::no("gate has ", gate.outputs, " outputs, up ", up.outputs);
  if (gate.result != shape.out || up.result != shape.out) return Verdict::no("gate, up and result differ in type");
  const auto gated = from_attributes<Gated>(op.attributes);
  if (!gated.ok()) return Verdict::no(gated.status().message());
  shape.activation = gated->activation;
  return Verdict::yes();
}

}  // namespace

std::vector<std::string> chain_of(Tail tail) {
  std::vector<std::string> chain{std::string(Linear::kOp)};
  if (tail == Tail::add) chain.emplace_back(Add::kOp);
  if (tail == Tail::gated) chain.emplace_back(Gated::kOp);
  return chain;
}

Verdict read_shape(const Problem& problem, Tail tail, LinearShape& shape) noexcept {
  shape = {};
  const auto chain = chain_of(tail);
  if (problem.ops.size() != chain.size()) return Verdict::no("another chain of ops");
  for (size_t i = 0; i < chain.size(); ++i)
    if (problem.ops[i].op != chain[i]) return Verdict::no("another chain of ops");
  if (Verdict v = read_products(problem.first(), shape); !v) return v;
  if (!is_float(shape.x)) return Verdict::no("x is ", name(shape.x), ", expected bf16 or f32");
  shape.tail = tail;
  const ProblemOp& last = problem.ops.back();
  if (last.results.empty() || !is_float(last.results[0].dtype)) return Verdict::no("the result is no bf16 or f32");
  shape.out = last.results[0].dtype;
  if (tail == Tail::add) return read_add(last, shape);
  if (tail == Tail::gated) return read_gated(last, shape);
  return Verdict::yes();
}

bool has_feature(const Problem& problem, std::string_view feature) noexcept {
  return std::ranges::find(problem.features, feature) != problem.features.end();
}

}  // namespace tare::linear
