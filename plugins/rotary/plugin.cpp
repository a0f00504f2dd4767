// rotary/1 on the CPU. Angles are position·frequency in f32, as the definition has it; cos and sin are taken once a
// token and pair, not once a head.
#include <cmath>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare {
namespace {

// Pair j is (a[j·step], b[j·step]). Two loops, each plain enough for the compiler's vectors.
template <int kStep>
void turn_pairs(float* a, float* b, size_t pairs, const float* cosine, const float* sine, float magnitude) {
  for (size_t j = 0; j < pairs; ++j) {
    const float x = a[j * kStep], y = b[j * kStep];
    a[j * kStep] = magnitude * (x * cosine[j] - y * sine[j]);
    b[j * kStep] = magnitude * (y * cosine[j] + x * sine[j]);
  }
}
void turn(const Rotary& op, std::span<float> head, std::span<const float> cosine, std::span<const float> sine) {
  float* const first = head.data() + op.first;
  const size_t pairs = cosine.size();
  if (op.pairs == Rotary::Pairs::halves)
    turn_pairs<1>(first, first + pairs, pairs, cosine.data(), sine.data(), op.magnitude);
  else
    turn_pairs<2>(first, first + 1, pairs, cosine.data(), sine.data(), op.magnitude);
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
