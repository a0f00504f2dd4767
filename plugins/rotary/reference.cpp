// rotary/1, the oracle: as ops.hpp defines it, one pair after the other.
#include <cmath>

#include "plugins/rotary/rotary.hpp"

namespace tare::rotary {

Status reference(const CpuCall<Rotary>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  const std::vector<float>& frequencies = c.problem.constants[static_cast<size_t>(c.op.frequencies.id)];
  const int64_t width = x.sizes[x.rank - 1], row = x.row_elements(), half = std::ssize(frequencies);
  std::vector<float> values(static_cast<size_t>(row));
  for (int64_t t = 0; t < x.rows(); ++t) {
    load_row(x, t, values);
    for (int64_t head = 0; head < row; head += width)
      for (int64_t j = 0; j < half; ++j) {
        const float angle = static_cast<float>(c.launch.step.positions[t]) * frequencies[static_cast<size_t>(j)];
        const float cosine = std::cos(angle), sine = std::sin(angle);
        const bool halves = c.op.pairs == Rotary::Pairs::halves;
        const int64_t first = head + c.op.first + (halves ? j : 2 * j), second = first + (halves ? half : 1);
        const float a = values[static_cast<size_t>(first)], b = values[static_cast<size_t>(second)];
        values[static_cast<size_t>(first)] = c.op.magnitude * (a * cosine - b * sine);
        values[static_cast<size_t>(second)] = c.op.magnitude * (b * cosine + a * sine);
      }
    store_row(out, t, values);
  }
  return {};
}

Verdict supports(const Rotary& op, const Problem& problem) {
  const ProblemOp& p = problem.first();
  for (const auto* side : {&p.inputs, &p.results})
    for (const TensorInfo& t : *side)
      if (t.dtype != DType::bf16 && t.dtype != DType::f32)
        return Verdict::no("a tensor is ", name(t.dtype), ", expected bf16 or f32");
  if (op.frequencies.id < 0 || static_cast<size_t>(op.frequencies.id) >= problem.constants.size())
    return Verdict::no("the table of frequencies @", op.frequencies.id, " is not among the Program's constants");
  const int64_t pairs = std::ssize(problem.constants[static_cast<size_t>(op.frequencies.id)]);
  if (p.inputs.size() != 1 || p.results.size() != 1)
    return Verdict::no(p.inputs.size(), " inputs and ", p.results.size(), " results, expected 1 and 1");
  if (p.inputs[0].shape.empty()) return Verdict::no("x has no dimension to turn");
  const int64_t last = p.inputs[0].shape[p.inputs[0].shape.size() - 1].size;
  if (op.first < 0 || op.first + 2 * pairs > last)
    return Verdict::no(pairs, " pairs from ", op.first, " on do not lie within ", last, " values");
  return Verdict::yes();
}

std::vector<std::unique_ptr<KernelCandidate>> candidates() {
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(fast_candidate());
  out.push_back(cpu_kernel<Rotary>(
      {.id = "rotary.cpu_reference", .numerics = "exact", .run = reference, .supports = supports, .reference = true}));
  return out;
}

}  // namespace tare::rotary
