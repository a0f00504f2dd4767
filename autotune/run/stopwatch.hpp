// Stopwatch: how long launches on a bench take, and what two times beside each other say. [one thread]
#pragma once
#include <array>

#include "autotune/launch_timer.hpp"
#include "autotune/run/bench.hpp"
#include "autotune/search/search.hpp"

namespace tare {

constexpr double kLeastGain = 0.01;  // what is less faster than the default than this does not replace it

// Times at the first and the last row count of a bucket; the same one twice where it has but one.
struct EdgeTimes {
  Timing first, last;
};
// What a difference of two medians has to exceed: two standard errors of it (of a median: 1.25 * 1.48 * the median
// distance over the root of the rounds, were times normal). More than the spread where there were few rounds, less
// where there were many.
double noise_of(const Timing& t) noexcept;
// Of a contestant beside the default of the same round. Refused: what is slower than it at the bucket's first row
// count.
SearchCost cost_beside(const EdgeTimes& standard, const EdgeTimes& one, int64_t first_rows);

class Stopwatch {
 public:
  using Prepared = ProblemBench::Prepared;
  // Both outlive it.
  Stopwatch(ProblemBench& bench, LaunchTimer& timer) : bench_(bench), timer_(timer) {}
  // A measured unit: some launches in a row, each on cold weights.
  Launcher unit(const Prepared& prepared, int64_t rows, int64_t launches);
  // Seconds of one launch of each, interleaved. `beside`: a unit of as many launches that is measured with them, last.
  Result<std::vector<Timing>> time(std::span<const Prepared* const> prepared, int64_t rows, const StoppingRule& rule,
                                   int64_t launches, const Launcher& beside = {});
  // How many launches a unit needs, so that the clock's grain counts for nothing.
  static int64_t launches_for(double seconds) noexcept;
  // Seconds of one launch of each of two when nothing else runs for long: slices of `slice` seconds in the order
  // A B A B B A, since whoever comes second is hotter; the first two only warm the device.
  Result<std::array<double, 2>> sustained(std::array<const Prepared*, 2> both, int64_t rows, int64_t launches,
                                          double slice);

 private:
  ProblemBench& bench_;
  LaunchTimer& timer_;
};

}  // namespace tare
