// norm/1, the oracle: as ops.hpp defines it, sums in order, in double for mean and variance.
#include <cmath>

#include "plugins/norm/norm.hpp"

namespace tare::norm {

Status reference(const CpuCall<Norm>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  TARE_ASSIGN_OR_RETURN(const std::vector<float> weight, load_weight(c.launch.weights[0]));
  TARE_ASSIGN_OR_RETURN(const std::vector<float> bias, load_weight(c.launch.weights[1]));
  const int64_t row = x.row_elements(), width = weight.empty() ? x.sizes[x.rank - 1] : std::ssize(weight);
  std::vector<float> in(static_cast<size_t>(row)), result(static_cast<size_t>(row));
  for (int64_t r = 0; r < x.rows(); ++r) {
    load_row(x, r, in);
    for (int64_t first = 0; first < row; first += width) {
      double mean = 0, square = 0;
      for (int64_t i = 0; i < width; ++i) mean += in[static_cast<size_t>(first + i)];
      mean = c.op.kind == Norm::Kind::layer ? mean / static_cast<double>(width) : 0;
      for (int64_t i = 0; i < width; ++i) {
        const double d = in[static_cast<size_t>(first + i)] - mean;
        square += d * d;
      }
      const double inverse = 1 / std::sqrt(square / static_cast<double>(width) + c.op.eps);
      for (int64_t i = 0; i < width; ++i) {
        const float normal = static_cast<float>((in[static_cast<size_t>(first + i)] - mean) * inverse);
        const float scale = weight.empty() ? 1.0f : weight[static_cast<size_t>(i)] + c.op.offset;
        result[static_cast<size_t>(first + i)] = normal * scale + (bias.empty() ? 0.0f : bias[static_cast<size_t>(i)]);
      }
    }
    store_row(out, r, result);
  }
  return {};
}

Verdict supports(const Norm&, const Problem& problem) {
  const ProblemOp& p = problem.first();
  if (p.inputs.size() != 1 || p.results.size() != 1)
    return Verdict::no(p.inputs.size(), " inputs and ", p.results.size(), " results, expected 1 and 1");
  for (const auto* side : {&p.inputs, &p.results})
    for (const TensorInfo& t : *side)
      if (t.dtype != DType::bf16 && t.dtype != DType::f32)
        return Verdict::no("a tensor is ", name(t.dtype), ", expected bf16 or f32");
  return Verdict::yes();
}

std::vector<std::unique_ptr<KernelCandidate>> candidates() {
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(fast_candidate());
  out.push_back(cpu_kernel<Norm>({.id = "norm.cpu_reference",
                                  .numerics = "sequential-f64",
                                  .run = reference,
                                  .supports = supports,
                                  .reference = true}));
  return out;
}

}  // namespace tare::norm
