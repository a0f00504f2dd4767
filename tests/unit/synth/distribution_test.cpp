#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "core/base/exponents.hpp"
#include "core/synth/distribution.hpp"
#include "core/synth/random.hpp"
#include "core/synth/statistics.hpp"

using namespace tare;
using namespace tare::synth;

namespace {

ExponentCounts counts_of(const Sampler& sampler, const Tensor& tensor) {
  std::vector<uint16_t> row(static_cast<size_t>(tensor.columns()));
  ExponentCounts counts;
  for (int64_t r = 0; r < tensor.rows(); ++r) {
    sampler.row(r, row);
    count_exponents(DType::bf16, std::as_bytes(std::span(row)), counts);
  }
  return counts;
}
double value(uint16_t code) { return std::bit_cast<float>(uint32_t{code} << 16); }

}  // namespace

TEST_CASE("Exponents are counted for every type that has them") {
  ExponentCounts counts;
  const std::vector<uint16_t> bf16{0x0000, 0x8000, 0x3f80, 0xbf80, 0x3fff, 0x7f80, 0xffff};
  count_exponents(DType::bf16, std::as_bytes(std::span(bf16)), counts);
  CHECK(counts.of[0] == 2);
  CHECK(counts.of[127] == 3);
  CHECK(counts.of[255] == 2);
  CHECK(counts.total() == 7);
  counts = {};
  const std::vector<uint16_t> f16{0x3c00, 0xbc00, 0x7c00, 0x0001};
  count_exponents(DType::f16, std::as_bytes(std::span(f16)), counts);
  CHECK(counts.of[15] == 2);
  CHECK(counts.of[31] == 1);
  CHECK(counts.of[0] == 1);
  counts = {};
  const std::vector<float> f32{1.0f, -1.5f, 2.0f};
  count_exponents(DType::f32, std::as_bytes(std::span(f32)), counts);
  CHECK(counts.of[127] == 2);
  CHECK(counts.of[128] == 1);
}

TEST_CASE("Entropy and the best exponents are those of the counts") {
  ExponentCounts counts;
  CHECK(counts.entropy() == 0);
  CHECK(counts.outside(7) == 0);
  counts.of[0] = 1, counts.of[100] = 4, counts.of[101] = 2, counts.of[102] = 1, counts.of[255] = 8;
  CHECK(counts.entropy() == doctest::Approx(0.0625 * 4 * 2 + 0.25 * 2 + 0.125 * 3 + 0.5));
  CHECK(counts.best(1) == 255);
  CHECK(counts.outside(1) == 0.5);
  CHECK(counts.best(3) == 253);
  CHECK(counts.outside(256) == 0);
  counts.of[255] = 3;
  CHECK(counts.best(2) == 100);
  CHECK(counts.outside(2) == doctest::Approx(5.0 / 11));
}

TEST_CASE("Random numbers depend on key and counter alone, and look normal where they should") {
  CHECK(random_bits(1, 2) == random_bits(1, 2));
  CHECK(random_bits(1, 2) != random_bits(1, 3));
  CHECK(key_of(1, "a") != key_of(2, "a"));
  CHECK(key_of(1, "a") != key_of(1, "b"));
  // SplitMix64's published first outputs from seed 1234567.
  CHECK(random_bits(1234567, 0) == 6457827717110365317u);
  CHECK(random_bits(1234567, 1) == 3203168211198807973u);
  double sum = 0, squares = 0;
  for (uint64_t i = 0; i < 20000; ++i) {
    const double x = random_normal(7, i);
    sum += x, squares += x * x;
  }
  CHECK(std::abs(sum / 20000) < 0.03);
  CHECK(squares / 20000 == doctest::Approx(1).epsilon(0.04));
}

TEST_CASE("A plain Gaussian has the entropy that mathematics gives it") {
  // 2.544 bits and 2.2 to 3.0 % outside seven exponents for a normal distribution of any deviation.
  const Tensor tensor{"x", {512, 512}};
  const ExponentCounts counts = counts_of(Sampler(tensor, {{{1, 1}}, 0, 0}, 0.02, 3), tensor);
  CHECK(counts.entropy() == doctest::Approx(2.544).epsilon(0.005));
  CHECK(counts.outside(7) > 0.021);
  CHECK(counts.outside(7) < 0.031);
}

TEST_CASE("Numbers have the root mean square that was asked for, both signs and whole mantissas") {
  const Tensor tensor{"model.layers.0.mlp.up_proj.weight", {600, 401}};
  for (bool outlier : {false, true}) {
    const Sampler sampler(tensor, spread_of(tensor, 5, outlier), 0.03, 5);
    double squares = 0;
    int64_t negative = 0, all = 0;
    std::vector<int64_t> mantissas(128);
    std::vector<uint16_t> row(401);
    for (int64_t r = 0; r < 600; ++r) {
      sampler.row(r, row);
      for (uint16_t code : row) {
        squares += value(code) * value(code), negative += code >> 15, ++all;
        ++mantissas[code & 127];
      }
    }
    CHECK(std::sqrt(squares / static_cast<double>(all)) == doctest::Approx(0.03).epsilon(0.1));
    CHECK(static_cast<double>(negative) / static_cast<double>(all) == doctest::Approx(0.5).epsilon(0.01));
    for (int64_t n : mantissas) CHECK(n > all / 128 / 3);
  }
}

TEST_CASE("An outlier is wide whichever seven exponents one takes, and sixteen still hold it") {
  const Tensor tensor{"model.layers.1.mlp.gate_proj.weight", {512, 512}};
  ExponentCounts counts = counts_of(Sampler(tensor, spread_of(tensor, 2, true), 0.02, 2), tensor);
  CHECK(counts.outside(7) > 0.31);
  CHECK(counts.outside(16) < 0.01);
  std::sort(counts.of.begin(), counts.of.end(), std::greater<>());  // now the commonest stand side by side
  CHECK(counts.outside(7) > 0.31);
}

TEST_CASE("Rows and columns differ in scale, as trained ones do") {
  const Tensor tensor{"model.layers.3.mlp.up_proj.weight", {256, 1024}};
  const Sampler sampler(tensor, spread_of(tensor, 1, false), 0.02, 1);
  double low = 1e9, high = 0;
  std::vector<double> columns(1024);
  std::vector<uint16_t> row(1024);
  for (int64_t r = 0; r < 256; ++r) {
    sampler.row(r, row);
    double power = 0;
    for (size_t c = 0; c < row.size(); ++c)
      power += value(row[c]) * value(row[c]), columns[c] += value(row[c]) * value(row[c]);
    low = std::min(low, power), high = std::max(high, power);
  }
  CHECK(high > 2 * low);
  CHECK(*std::max_element(columns.begin(), columns.end()) > 2 * *std::min_element(columns.begin(), columns.end()));
}

TEST_CASE("A statistic that is off is named with what was found and what was expected") {
  Statistics good{2.65, 0.033, 0.0003, {"b", "a"}};
  good.wide = {"a", "b"};
  CHECK(check(good, {"b", "a"}).ok());
  Statistics s = good;
  s.entropy = 2.7114;
  CHECK(check(s, {"a", "b"}).message() == "mean entropy of the exponents: found 2.711 bits, expected 2.620 to 2.700");
  s = good, s.outside_7 = 0.0265;
  CHECK(check(s, {"a", "b"}).message() ==
        "mean share outside the best 7 exponents: found 2.650 %, expected 2.700 to 4.300");
  s = good, s.outside_15 = 0.000604;
  CHECK(check(s, {"a", "b"}).message() ==
        "mean share outside the best 15 exponents: found 0.060 %, expected 0.020 to 0.050");
  s = good, s.entropy = std::nan("");
  CHECK_FALSE(check(s, {"a", "b"}).ok());
  CHECK(check(good, {"a", "c"}).message() ==
        "matrices with more than 30 % outside their best 7 exponents: found a, b, expected a, c");
  CHECK(check(Statistics{2.65, 0.033, 0.0003, {}}, {"a"}).message().find("found none") != std::string::npos);
}

TEST_CASE("Means are weighted by the numbers of a matrix") {
  MatrixStatistics narrow{"narrow", {}}, wide{"wide", {}};
  narrow.counts.of[100] = 3000;
  for (size_t e = 100; e < 116; ++e) wide.counts.of[e] = 1000 / 16 + (e < 108);
  const double outside = wide.counts.outside(7);
  const auto n = static_cast<double>(wide.counts.total());
  const Statistics s = statistics_of({narrow, wide});
  CHECK(s.wide == std::vector<std::string>{"wide"});
  CHECK(s.outside_7 == doctest::Approx(outside * n / (n + 3000)));
  CHECK(s.entropy == doctest::Approx(wide.counts.entropy() * n / (n + 3000)));
}
