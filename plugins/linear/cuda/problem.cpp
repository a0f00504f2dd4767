#include "plugins/linear/cuda/problem.hpp"

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

}  // namespace

Verdict read_problem(const Problem& problem, LinearProblem& out) noexcept {
  out = {};
  if (problem.ops.size() != 1 || problem.first().op != Linear::kOp) return Verdict::no("another chain of ops");
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
    out.parts.push_back({*weight, bias, op.results[i].dtype});
  }
  return Verdict::yes();
}

}  // namespace tare::linear_cuda
