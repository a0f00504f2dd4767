#include "autotune/run/numbers.hpp"

#include <cmath>
#include <numbers>
#include <vector>

namespace tare {
namespace {

uint64_t mixed(uint64_t x) noexcept {  // splitmix64: G. Steele, D. Lea, C. Flood, OOPSLA 2014
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
double uniform(uint64_t bits) noexcept { return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53; }
double normal(uint64_t state) noexcept {  // Box and Muller, Annals of Mathematical Statistics 29 (1958)
  return std::sqrt(-2 * std::log(uniform(mixed(state)))) *
         std::cos(2 * std::numbers::pi * uniform(mixed(state ^ 0x5851f42d4c957f2du)));
}
// Gaussian numbers to draw from: a table is many times faster than new ones and no code can tell.
class Normals {
 public:
  explicit Normals(uint64_t seed) : values_(size_t{1} << 16) {
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<float>(normal(seed + i));
  }
  float at(uint64_t bits) const noexcept {
    return values_[bits >> 20 & 65535] * (1 + static_cast<float>(bits >> 40 & 1023) * 1e-4f);
  }

 private:
  std::vector<float> values_;
};

void put(DType dtype, void* out, size_t at, float value) noexcept {
  if (dtype == DType::bf16)
    static_cast<bf16*>(out)[at] = to_bf16(value);
  else
    static_cast<float*>(out)[at] = value;
}
float unusual(float usual, uint64_t bits) noexcept {
  switch (bits & 3) {
    case 0:
      return std::copysign(0.0f, usual);
    case 1:
      return std::copysign(0x1p-130f, usual);
    default:
      return std::ldexp(usual, static_cast<int>((bits >> 8) % 53) - 40);
  }
}

}  // namespace

void fill_trained_like(DType dtype, int64_t row_begin, int64_t row_end, int64_t inputs, uint64_t seed, void* out) {
  const Normals normals(7);
  size_t at = 0;
  for (int64_t row = row_begin; row < row_end; ++row) {
    uint64_t state = mixed(seed * 0x100000001b3u + static_cast<uint64_t>(row)) | 1;
    const float scale = 0.02f * std::exp(0.33f * static_cast<float>(normal(state)));
    for (int64_t k = 0; k < inputs; ++k, ++at) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;  // xorshift64: G. Marsaglia, 2003
      float value = scale * normals.at(state);
      if ((state >> 50 & 4095) == 77) value = unusual(value, mixed(state));
      put(dtype, out, at, value);
    }
  }
}

void fill_activations(DType dtype, int64_t rows, int64_t width, uint64_t seed, void* out) {
  const Normals normals(11);
  uint64_t state = mixed(seed) | 1;
  for (int64_t i = 0; i < rows * width; ++i) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    put(dtype, out, static_cast<size_t>(i), normals.at(state) * (i % width % 97 == 13 ? 30.0f : 1.0f));
  }
}

}  // namespace tare
