#include "plugins/linear/cuda/problem.hpp"

#include <algorithm>
#include <utility>

#include "core/api/ops.hpp"

namespace tare::linear_cuda {
namespace {

bool is_float(DType dtype) noexcept { return dtype == DType::bf16 || dtype == DType::f32; }

// Numbers of one row; -1 for a tensor that is none.
int64_t row_elements(const TensorInfo& tensor) noexcept {
  if (tensor.shape.empty() || tensor.shape.size() > 4) return -1;
  int64_t count = 1;
  for (size_t i = 1; i < tensor.shape.size(); ++i) count *= tensor.shape[i].size;
  return count;
}

Verdict read_stack(const Problem& problem, LinearProblem& out) {
  if (problem.first().op != Linear::kOp) return Verdict::no("another chain of ops");
  const ProblemOp& op = problem.first();
  if (op.inputs.size() != 1 || op.results.empty() || op.weights.size() != 2 * op.results.size())
    return Verdict::no("linear has ", op.inputs.size(), " inputs, ", op.weights.size(), " weights and ",
                       op.results.size(), " results, expected 1, two for each result and 1 or more");
  out.x = op.inputs[0].dtype;
  if (!is_float(out.x)) return Verdict::no("x is ", name(out.x), ", expected bf16 or f32");
  for (size_t i = 0; i < op.results.size(); ++i) {
    const auto &weight = op.weights[2 * i], &bias = op.weights[2 * i + 1];
    if (!weight) return Verdict::no("linear's weight ", 2 * i, " is absent");
    const int64_t n = weight->outputs(), k = weight->inputs();
    if (n < 1 || k < 1 || n > INT32_MAX || k > INT32_MAX)
      return Verdict::no(weight->name, " is [", n, ", ", k, "], expected 1 or more of both, in 32 bits");
    if (k != row_elements(op.inputs[0]))
      return Verdict::no(weight->name, " sums over ", k, " inputs, x has ", row_elements(op.inputs[0]));
    if (row_elements(op.results[i]) != n)
      return Verdict::no("result ", i, " has rows of ", row_elements(op.results[i]), ", the weight gives ", n);
    if (!is_float(op.results[i].dtype)) return Verdict::no("a result is ", name(op.results[i].dtype));
    if (!is_float(weight->dtype))
      return Verdict::no(weight->name, " is ", name(weight->dtype), ", expected bf16 or f32");
    if (bias && elements(bias->shape) != n)
      return Verdict::no(bias->name, " has ", elements(bias->shape), " numbers, expected ", n);
    if (bias && !is_float(bias->dtype))
      return Verdict::no(bias->name, " is ", name(bias->dtype), ", expected bf16 or f32");
    out.parts.push_back({*weight, bias, op.results[i].dtype, i});
  }
  return Verdict::yes();
}

bool all_bf16(const ProblemOp& op) noexcept {
  const auto is_bf16 = [](const TensorInfo& t) { return t.dtype == DType::bf16; };
  return std::ranges::all_of(op.inputs, is_bf16) && std::ranges::all_of(op.results, is_bf16);
}

Verdict read_add(const ProblemOp& add, LinearProblem& out) {
  if (add.op != Add::kOp || out.parts.size() != 1 || add.inputs.size() != 2 || add.results.size() != 1)
    return Verdict::no("another chain of ops");
  // One operand is the product, the other comes from outside.
  if (add.chain_results.size() != 2 || std::ranges::count(add.chain_results, -1) != 1)
    return Verdict::no("a product is added to itself");
  if (!all_bf16(add) || out.parts[0].result != DType::bf16) return Verdict::no("what is added is not bf16 throughout");
  out.epilogue = Epilogue::kAdd;
  return Verdict::yes();
}

Verdict read_gated(const ProblemOp& gated, LinearProblem& out) {
  if (gated.op != Gated::kOp || out.parts.size() != 2 || gated.inputs.size() != 2 || gated.results.size() != 1)
    return Verdict::no("another chain of ops");
  if (gated.chain_results.size() != 2 || gated.chain_results[0] < 0 || gated.chain_results[1] < 0 ||
      gated.chain_results[0] == gated.chain_results[1])
    return Verdict::no("the gate and what it is multiplied by are not the stack's two products");
  if (!all_bf16(gated)) return Verdict::no("gate and product are not bf16 throughout");
  const auto op = from_attributes<Gated>(gated.attributes);
  if (!op.ok()) return Verdict::no(op.status().message());
  switch (op->activation) {
    case Activation::silu:
      out.epilogue = Epilogue::kSilu;
      break;
    case Activation::gelu:
      out.epilogue = Epilogue::kGelu;
      break;
    case Activation::gelu_tanh:
      out.epilogue = Epilogue::kGeluTanh;
      break;
    case Activation::relu:
      out.epilogue = Epilogue::kRelu;
      break;
    case Activation::none:
      return Verdict::no("a gate without an activation");
  }
  if (gated.chain_results[0] == 1) std::swap(out.parts[0], out.parts[1]);
  if (out.parts[0].weight.outputs() != out.parts[1].weight.outputs())
    return Verdict::no("gate and product differ in width");
  return Verdict::yes();
}

}  // namespace

Verdict read_problem(const Problem& problem, Tail tail, LinearProblem& out) noexcept {
  out = {};
  if (problem.ops.size() != (tail == Tail::none ? 1u : 2u)) return Verdict::no("another chain of ops");
  if (Verdict v = read_stack(problem, out); !v || tail == Tail::none) return v;
  if (Verdict v = tail == Tail::add ? read_add(problem.ops[1], out) : read_gated(problem.ops[1], out); !v) return v;
  out.parts.back().epilogue = out.epilogue;
  return Verdict::yes();
}

}  // namespace tare::linear_cuda
