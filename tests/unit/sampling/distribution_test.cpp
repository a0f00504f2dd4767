// Draws follow the probabilities that the parameters define: chi-square against exact ones, computed in double from the
// definition and from nothing of the code under test.
#include <doctest/doctest.h>

#include "tests/unit/sampling/rows.hpp"

namespace tare::sampling {
namespace {

std::vector<double> softmax(const std::vector<double>& x) {
  std::vector<double> p;
  double sum = 0;
  for (double v : x) p.push_back(std::exp(v)), sum += p.back();
  for (double& v : p) v /= sum;
  return p;
}

// Upper end of the chi-square distribution by Wilson and Hilferty's cube-root approximation, at z standard deviations.
double chi_square_bound(int64_t degrees, double z) {
  const double k = static_cast<double>(degrees), c = 2 / (9 * k);
  return k * std::pow(1 - c + z * std::sqrt(c), 3);
}

void check_distribution(const std::vector<float>& logits, const SamplingRow& row, const std::vector<double>& exact) {
  constexpr int kDraws = 60000;
  auto counts = testing::histogram(fast, logits, row, kDraws);
  double chi_square = 0, rest_expected = 0, rest_seen = 0;
  int64_t degrees = -1;
  for (size_t id = 0; id < exact.size(); ++id) {
    const double expected = exact[id] * kDraws, seen = static_cast<double>(counts[static_cast<int32_t>(id)]);
    if (exact[id] == 0) CHECK(seen == 0);
    if (expected < 5) {  // cells too small for the approximation are taken together
      rest_expected += expected, rest_seen += seen;
      continue;
    }
    chi_square += (seen - expected) * (seen - expected) / expected;
    ++degrees;
  }
  if (rest_expected >= 5) {
    chi_square += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
    ++degrees;
  }
  REQUIRE(degrees >= 1);
  CHECK(chi_square < chi_square_bound(degrees, 3.5));
}

std::vector<float> logits_of(uint64_t seed, size_t vocabulary) {
  std::mt19937_64 random(seed);
  return testing::random_logits(random, vocabulary, 1.5f);
}
std::vector<double> scaled(const std::vector<float>& logits, double temperature) {
  std::vector<double> x;
  for (float v : logits) x.push_back(v / temperature);
  return x;
}

TEST_CASE("temperature") {
  const std::vector<float> logits = logits_of(1, 40);
  for (float temperature : {0.5f, 1.0f, 2.0f}) {
    SamplingRow row;
    row.temperature = temperature, row.seed = 5;
    check_distribution(logits, row, softmax(scaled(logits, temperature)));
  }
}

TEST_CASE("a wide vocabulary") {
  const std::vector<float> logits = logits_of(2, 1500);
  SamplingRow row;
  row.seed = 6;
  check_distribution(logits, row, softmax(scaled(logits, 1)));
}

TEST_CASE("top_k, top_p and min_p renormalise what they leave") {
  const std::vector<float> logits = logits_of(3, 50);
  std::vector<size_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  const std::vector<double> p = softmax(scaled(logits, 1));
  const auto keep = [&](size_t n) {
    std::vector<double> kept(p.size());
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += p[order[i]];
    for (size_t i = 0; i < n; ++i) kept[order[i]] = p[order[i]] / sum;
    return kept;
  };
  SamplingRow row;
  row.seed = 7;
  SUBCASE("top_k") {
    row.top_k = 7;
    check_distribution(logits, row, keep(7));
  }
  SUBCASE("top_p") {
    row.top_p = 0.7f;
    size_t n = 0;
    for (double sum = 0; sum < 0.7; ++n) sum += p[order[n]];
    check_distribution(logits, row, keep(n));
  }
  SUBCASE("min_p") {
    row.min_p = 0.2f;
    size_t n = 0;
    while (n < p.size() && p[order[n]] >= 0.2 * p[order[0]]) ++n;
    check_distribution(logits, row, keep(n));
  }
}

TEST_CASE("penalties and bias") {
  const std::vector<float> logits = logits_of(4, 30);
  const std::vector<int32_t> prompt{1, 2, 3}, output{3, 4, 4, 4};
  const std::vector<std::pair<int32_t, float>> bias{{9, 1.5f}};
  SamplingRow row;
  row.seed = 8, row.prompt = prompt, row.output = output, row.bias = bias;
  row.repetition_penalty = 1.3f, row.frequency_penalty = 0.4f, row.presence_penalty = 0.2f;
  std::vector<double> x = scaled(logits, 1);
  x[9] += 1.5;
  for (size_t id : {1, 2, 3, 4}) x[id] = x[id] > 0 ? x[id] / 1.3 : x[id] * 1.3;
  x[3] -= 0.4 + 0.2, x[4] -= 3 * 0.4 + 0.2;
  check_distribution(logits, row, softmax(x));
}

TEST_CASE("choices of one seed are independent of each other") {
  // Pairs of draws at one position by choices 0 and 1, over 4 x 4 equally likely cells.
  const std::vector<float> logits(4, 0.0f);
  std::vector<double> cells(16);
  constexpr int kPairs = 32000;
  SampledLogprobs unused;
  for (int i = 0; i < kPairs; ++i) {
    SamplingRow row;
    row.seed = 9, row.position = i;
    const int32_t a = *fast(logits, row, unused);
    row.choice = 1;
    cells[static_cast<size_t>(a * 4 + *fast(logits, row, unused))] += 1;
  }
  double chi_square = 0;
  for (double seen : cells) chi_square += (seen - kPairs / 16.0) * (seen - kPairs / 16.0) / (kPairs / 16.0);
  CHECK(chi_square < chi_square_bound(15, 3.5));
}

}  // namespace
}  // namespace tare::sampling
