#include "core/synth/distribution.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "core/synth/random.hpp"

namespace tare::synth {
namespace {

constexpr double kStep = 0.25;  // octaves between tables

double bf16_value(uint16_t code) noexcept { return std::bit_cast<float>(static_cast<uint32_t>(code) << 16); }

// Of a normal number with deviation `octaves`, in steps.
int octave_class(double normal, double octaves, int most) noexcept {
  return std::clamp(static_cast<int>(std::lround(normal * octaves / kStep)), -most, most);
}
double probability_below(double x, double mean_free_deviation) noexcept {
  return 0.5 * std::erfc(-x / (mean_free_deviation * std::numbers::sqrt2));
}
// E[factor^2] of the classes.
double class_power(double octaves, int most) noexcept {
  double power = 0;
  for (int c = -most; c <= most; ++c) {
    const double low = c == -most ? -1e9 : (c - 0.5) * kStep, high = c == most ? 1e9 : (c + 0.5) * kStep;
    const double share =
        octaves <= 0 ? (c == 0 ? 1 : 0) : probability_below(high, octaves) - probability_below(low, octaves);
    power += share * std::exp2(2 * c * kStep);
  }
  return power;
}

// Vose's method; slots whose probability is all their own refer to themselves.
void make_alias_table(std::vector<double> probability, uint32_t* out) {
  const size_t n = probability.size();
  std::vector<uint32_t> small, large;
  for (size_t i = 0; i < n; ++i) {
    probability[i] *= static_cast<double>(n);
    (probability[i] < 1 ? small : large).push_back(static_cast<uint32_t>(i));
    out[i] = static_cast<uint32_t>(i) << 16 | 0xffff;
  }
  while (!small.empty() && !large.empty()) {
    const uint32_t less = small.back(), more = large.back();
    small.pop_back();
    const auto own = static_cast<uint32_t>(std::lround(probability[less] * 65536));
    out[less] = more << 16 | std::min(own, 0xffffu);
    probability[more] -= 1 - probability[less];
    if (probability[more] < 1) {
      large.pop_back();
      small.push_back(more);
    }
  }
}

}  // namespace

double random_normal(uint64_t key, uint64_t n) noexcept {
  const double radius = std::sqrt(-2 * std::log(1 - random_unit(key, 2 * n)));
  return radius * std::cos(2 * std::numbers::pi * random_unit(key, 2 * n + 1));
}

Spread spread_of(const Tensor& tensor, uint64_t seed, bool outlier) {
  if (outlier)  // wide and flat: more than 30 % outside any seven exponents, well under 1 % outside 16
    return {{{0.27, 1}, {0.24, std::exp2(-2.5)}, {0.25, std::exp2(-5)}, {0.24, std::exp2(-7.5)}}, 0.24, 0.18};
  // The two largest matrices sit in the middle, so that the means do not hang on their luck.
  const bool middle = tensor.name == "lm_head.weight" || tensor.name == "model.embed_tokens.weight";
  const uint64_t key = key_of(seed, tensor.name + "/spread");
  const auto between = [&](uint64_t n, double low, double high) {
    return low + (high - low) * (middle ? 0.5 : random_unit(key, n));
  };
  const double small = between(0, 0.02, 0.04), large = between(1, 1.5e-4, 2.5e-4), octaves = between(2, 0.31, 0.39);
  return {{{1 - small - large, 1}, {small, 0.2}, {large, 8}}, 0.8 * octaves, 0.6 * octaves};
}

double rms_of(const Tensor& tensor, const Shape& shape) {
  const double unit = 1 / std::sqrt(static_cast<double>(tensor.columns()));
  const bool to_residual = tensor.name.ends_with("o_proj.weight") || tensor.name.ends_with("down_proj.weight");
  return to_residual ? unit / std::sqrt(2.0 * static_cast<double>(shape.layers)) : unit;
}

Sampler::Sampler(const Tensor& tensor, const Spread& spread, double rms, uint64_t seed)
    : key_(key_of(seed, tensor.name)),
      row_octaves_(spread.row_octaves),
      tables_(static_cast<size_t>(kTables) * kSlots),
      columns_(static_cast<size_t>(tensor.columns())) {
  double power = class_power(spread.row_octaves, kMostRow) * class_power(spread.column_octaves, kMostColumn);
  double part_power = 0, largest = 0;
  for (const Spread::Part& part : spread.parts) {
    part_power += part.share * part.deviation * part.deviation;
    largest = std::max(largest, part.deviation);
  }
  const double scale = rms / std::sqrt(power * part_power);
  // 32 exponents: the highest holds six deviations of the largest part under the largest factors, the lowest takes in
  // what is smaller still.
  const double most = scale * largest * 6 * std::exp2(kStep * (kMostRow + kMostColumn));
  lowest_ = static_cast<uint16_t>((std::ilogb(most) + 127 - 31) * 128);
  std::vector<double> edges(kSlots), probability(kSlots);
  for (int i = 0; i < kSlots; ++i) {  // where rounding to nearest goes over to the next code
    const auto code = static_cast<uint16_t>(lowest_ + i);
    edges[static_cast<size_t>(i)] = (bf16_value(code) + bf16_value(static_cast<uint16_t>(code + 1))) / 2;
  }
  for (int t = 0; t < kTables; ++t) {
    const double factor = scale * std::exp2(kStep * (t - kMostRow - kMostColumn));
    double below = 0;
    for (int i = 0; i < kSlots; ++i) {
      double up_to = i + 1 == kSlots ? 1 : 0;
      if (i + 1 < kSlots)
        for (const Spread::Part& part : spread.parts)
          up_to +=
              part.share * std::erf(edges[static_cast<size_t>(i)] / (factor * part.deviation * std::numbers::sqrt2));
      probability[static_cast<size_t>(i)] = std::max(0.0, up_to - below);
      below = up_to;
    }
    make_alias_table(probability, tables_.data() + static_cast<size_t>(t) * kSlots);
  }
  const uint64_t columns = key_of(seed, tensor.name + "/columns");
  for (size_t c = 0; c < columns_.size(); ++c)
    columns_[c] = static_cast<uint32_t>(
        (octave_class(random_normal(columns, c), spread.column_octaves, kMostColumn) + kMostColumn) * kSlots);
}

int Sampler::row_class(int64_t row) const noexcept {
  return octave_class(random_normal(key_ ^ kGolden, static_cast<uint64_t>(row)), row_octaves_, kMostRow);
}

void Sampler::row(int64_t row, std::span<uint16_t> out) const noexcept {
  const uint32_t* const tables = tables_.data() + static_cast<size_t>(row_class(row) + kMostRow) * kSlots;
  // 64 bits make two numbers, of 32 each: sign, (3 unused,) slot, 16 to compare with the slot's threshold.
  const auto draw = [&](uint32_t bits, size_t column) {
    const uint32_t slot = bits >> 16 & (kSlots - 1), entry = tables[columns_[column] + slot];
    const uint32_t index = (bits & 0xffff) < (entry & 0xffff) ? slot : entry >> 16;
    return static_cast<uint16_t>((lowest_ + index) | (bits >> 31 << 15));
  };
  const uint64_t pairs = (out.size() + 1) / 2;
  uint64_t counter = static_cast<uint64_t>(row) * pairs;
  size_t column = 0;
  for (; column + 2 <= out.size(); column += 2) {
    const uint64_t bits = random_bits(key_, counter++);
    out[column] = draw(static_cast<uint32_t>(bits), column);
    out[column + 1] = draw(static_cast<uint32_t>(bits >> 32), column + 1);
  }
  if (column < out.size()) out[column] = draw(static_cast<uint32_t>(random_bits(key_, counter)), column);
}

void norm_weights(const Tensor& tensor, uint64_t seed, std::span<uint16_t> out) {
  const uint64_t key = key_of(seed, tensor.name);
  for (size_t i = 0; i < out.size(); ++i) {
    const auto value = static_cast<float>(std::clamp(1 + 0.1 * random_normal(key, i), 0.5, 1.5));
    const auto bits = std::bit_cast<uint32_t>(value);
    out[i] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

}  // namespace tare::synth
