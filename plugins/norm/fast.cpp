// norm/1 with sums in 16 fixed lanes (element i goes to lane i mod 16, lanes are added pairwise): the compiler keeps
// the lanes in vector registers, and the order is the same on every CPU.
#include <array>
#include <cmath>

#include "plugins/norm/norm.hpp"

namespace tare::norm {
namespace {

constexpr int64_t kLanes = 16;
float add_lanes(std::array<float, kLanes>& lanes) noexcept {
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) lanes[static_cast<size_t>(i)] += lanes[static_cast<size_t>(i + half)];
  return lanes[0];
}
template <class Term>
float sum(int64_t count, Term term) noexcept {
  std::array<float, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[static_cast<size_t>(l)] += term(i + l);
  for (; i < count; ++i) lanes[static_cast<size_t>(i % kLanes)] += term(i);
  return add_lanes(lanes);
}

void one(const Norm& op, const float* x, int64_t width, const float* scale, const float* bias, float* out) noexcept {
  const float n = static_cast<float>(width);
  const float mean = op.kind == Norm::Kind::layer ? sum(width, [&](int64_t i) { return x[i]; }) / n : 0.0f;
  const float square = sum(width, [&](int64_t i) { return (x[i] - mean) * (x[i] - mean); });
  const float inverse = 1.0f / std::sqrt(square / n + op.eps);
  for (int64_t i = 0; i < width; ++i) out[i] = (x[i] - mean) * inverse * scale[i] + bias[i];
}

}  // namespace

Status fast(const CpuCall<Norm>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  TARE_ASSIGN_OR_RETURN(std::vector<float> scale, load_weight(c.launch.weights[0]));
  TARE_ASSIGN_OR_RETURN(std::vector<float> bias, load_weight(c.launch.weights[1]));
  const int64_t row = x.row_elements(), width = scale.empty() ? x.sizes[x.rank - 1] : std::ssize(scale);
  if (scale.empty())
    scale.assign(static_cast<size_t>(width), 1.0f);
  else
    for (float& s : scale) s += c.op.offset;
  bias.resize(static_cast<size_t>(width), 0.0f);
  c.parallel.run(x.rows(), std::max<int64_t>(1, 16384 / row), [&](int64_t begin, int64_t end, int32_t) {
    std::vector<float> in(static_cast<size_t>(row)), result(static_cast<size_t>(row));
    for (int64_t r = begin; r < end; ++r) {
      load_row(x, r, in);
      for (int64_t first = 0; first < row; first += width)
        one(c.op, in.data() + first, width, scale.data(), bias.data(), result.data() + first);
      store_row(out, r, result);
    }
  });
  return {};
}

}  // namespace tare::norm
