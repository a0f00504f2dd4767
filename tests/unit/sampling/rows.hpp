// Rows of logits and ways to draw from them, for the sampling tests.
#pragma once
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "plugins/sampling/sample.hpp"

namespace tare::sampling::testing {

using Draw = Result<int32_t> (*)(std::span<const float>, const SamplingRow&, SampledLogprobs&);

inline std::vector<float> random_logits(std::mt19937_64& random, size_t vocabulary, float spread) {
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(vocabulary);
  for (float& v : logits) v = normal(random);
  return logits;
}

// How often each id comes in `draws` draws at positions 0, 1, ..
inline std::map<int32_t, int64_t> histogram(Draw draw, const std::vector<float>& logits, SamplingRow row, int draws) {
  std::map<int32_t, int64_t> counts;
  SampledLogprobs unused;
  for (int i = 0; i < draws; ++i) {
    row.position = i;
    const auto id = draw(logits, row, unused);
    ++counts[id.ok() ? *id : -1];
  }
  return counts;
}
// The ids that can come: those that do in many draws.
inline std::set<int32_t> support(Draw draw, const std::vector<float>& logits, const SamplingRow& row) {
  std::set<int32_t> ids;
  for (const auto& [id, count] : histogram(draw, logits, row, 2000)) ids.insert(id);
  return ids;
}

}  // namespace tare::sampling::testing
