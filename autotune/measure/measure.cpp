#include "autotune/measure/measure.hpp"

#include <algorithm>
#include <cmath>

namespace tare {

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 != 0) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

namespace {

Timing timing_of(const std::vector<double>& times) {
  Timing out;
  out.rounds = static_cast<int>(times.size());
  out.median = median_of(times);
  if (!times.empty()) out.best = *std::ranges::min_element(times);
  std::vector<double> distances;
  for (const double t : times) distances.push_back(std::abs(t - out.median));
  out.spread = median_of(distances);
  return out;
}

}  // namespace

Result<std::vector<Timing>> measure(std::span<const Launcher> contestants, const Clock& clock,
                                    const StoppingRule& rule) {
  const size_t count = contestants.size();
  std::vector<std::vector<double>> times(count);
  std::vector<double> taken(count);
  std::vector<bool> dropped(count);
  for (int round = 0; round < rule.most; ++round) {
    for (size_t i = 0; i < count; ++i) {
      const size_t c = (i + static_cast<size_t>(round)) % count;
      if (dropped[c]) continue;
      const double start = clock();
      TARE_RETURN_IF_ERROR(contestants[c]());
      const double seconds = clock() - start;
      times[c].push_back(seconds), taken[c] += seconds;
    }
    if (round + 1 < rule.least && *std::ranges::max_element(taken) < rule.seconds) continue;
    std::vector<Timing> now;
    for (const auto& t : times) now.push_back(timing_of(t));
    double leader = now[0].median;
    for (size_t c = 0; c < count; ++c)
      if (!dropped[c]) leader = std::min(leader, now[c].median);
    bool enough = true;
    for (size_t c = 0; c < count; ++c) {
      if (c > 0 && now[c].best > rule.hopeless * leader) dropped[c] = true;  // the first is the baseline: always kept
      if (dropped[c] || taken[c] >= rule.seconds) continue;
      const double uncertainty = 1.8 * now[c].spread / std::sqrt(static_cast<double>(now[c].rounds));
      enough = enough && uncertainty <= rule.spread * now[c].median;
    }
    if (enough) break;
  }
  std::vector<Timing> out;
  for (size_t c = 0; c < count; ++c) {
    out.push_back(timing_of(times[c]));
    out.back().dropped = dropped[c];
  }
  return out;
}

}  // namespace tare
