// rotary/1 on the CPU. Angles are position·frequency in f32, as the definition has it; cos and sin are taken once a
// token and pair, not once a head.
#include <cmath>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare {
namespace {

void turn(const Rotary& op, std::span<float> head, std::span<const float> cosine, std::span<const float> sine) {
  const size_t half = cosine.size(), first = static_cast<size_t>(op.first);
  for (size_t j = 0; j < half; ++j) {
    float& a = head[op.pairs == Rotary::Pairs::halves ? first + j : first + 2 * j];
    float& b = head[op.pairs == Rotary::Pairs::halves ? first + j + half : first + 2 * j + 1];
    const float x = a, y = b;
    a = op.magnitude * (x * cosine[j] - y * sine[j]);
    b = op.magnitude * (y * cosine[j] + x * sine[j]);
  }
}

Status rotary(const CpuCall<Rotary>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  const std::vector<float>& frequencies = c.problem.constants[static_cast<size_t>(c.op.frequencies.id)];
  const int64_t width = x.sizes[x.rank - 1], row = x.row_elements();
  c.parallel.run(x.rows(), std::max<int64_t>(1, 8192 / row), [&](int64_t begin, int64_t end, int32_t) {
    std::vector<float> values(static_cast<size_t>(row)), cosine(frequencies.size()), sine(frequencies.size());
    for (int64_t t = begin; t < end; ++t) {
      for (size_t j = 0; j < frequencies.size(); ++j) {
        const float angle = static_cast<float>(c.launch.step.positions[t]) * frequencies[j];
        cosine[j] = std::cos(angle), sine[j] = std::sin(angle);
      }
      load_row(x, t, values);
      for (int64_t at = 0; at < row; at += width)
        turn(c.op, std::span(values).subspan(static_cast<size_t>(at), static_cast<size_t>(width)), cosine, sine);
      store_row(out, t, values);
    }
  });
  return {};
}

Verdict supports(const Rotary& op, const Problem& problem) {
  if (op.frequencies.id < 0 || static_cast<size_t>(op.frequencies.id) >= problem.constants.size())
    return Verdict::no("the table of frequencies @", op.frequencies.id, " is not among the Program's constants");
  return Verdict::yes();
}

Status register_plugin(Registrar& registrar) noexcept {
  registrar.add_kernel(
      cpu_kernel<Rotary>({.id = "rotary.cpu_reference", .numerics = "exact", .run = rotary, .supports = supports}));
  return {};
}

}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.rotary", "0.1.0", tare::register_plugin)
