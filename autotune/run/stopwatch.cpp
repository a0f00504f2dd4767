#include "autotune/run/stopwatch.hpp"

#include <algorithm>
#include <cmath>

namespace tare {
namespace {

constexpr double kUnit = 250e-6;  // seconds that one measured unit of launches takes at least

}  // namespace

double noise_of(const Timing& t) noexcept {
  return t.spread * 5.2 / std::sqrt(static_cast<double>(std::max(1, t.rounds)));
}

SearchCost cost_beside(const EdgeTimes& standard, const EdgeTimes& one, int64_t first_rows) {
  SearchCost out{one.last.median,
                 std::max({noise_of(one.last), noise_of(standard.last), kLeastGain * standard.last.median}), ""};
  if (one.first.median - standard.first.median > std::max(standard.first.spread, kLeastGain * standard.first.median))
    out.refused = text("slower than the default at ", first_rows, " rows");
  return out;
}

Launcher Stopwatch::unit(const Prepared& prepared, int64_t rows, int64_t launches) {
  return [this, &prepared, rows, launches] {
    return timer_.run(bench_.stream(), [&] {
      for (int64_t i = 0; i < launches; ++i) TARE_RETURN_IF_ERROR(bench_.launch(prepared, rows));
      return Status();
    });
  };
}

Result<std::vector<Timing>> Stopwatch::time(std::span<const Prepared* const> prepared, int64_t rows,
                                            const StoppingRule& rule, int64_t launches, const Launcher& beside) {
  std::vector<Launcher> launchers;
  for (const Prepared* p : prepared) launchers.push_back(unit(*p, rows, launches));
  if (beside) launchers.push_back(beside);
  TARE_ASSIGN_OR_RETURN(std::vector<Timing> out, measure(
                                                     launchers, [this] { return timer_.now(); }, rule));
  for (Timing& t : out)
    for (double* v : {&t.median, &t.spread, &t.best}) *v /= static_cast<double>(launches);
  return out;
}

int64_t Stopwatch::launches_for(double seconds) noexcept {
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(kUnit / std::max(seconds, 1e-9))), 1, 32);
}

Result<std::array<double, 2>> Stopwatch::sustained(std::array<const Prepared*, 2> both, int64_t rows, int64_t launches,
                                                   double slice) {
  std::array<double, 2> seconds{};
  std::array<int64_t, 2> count{};
  int slices = 0;
  for (const size_t who : {0, 1, 0, 1, 1, 0}) {
    const bool counts = slices++ >= 2;
    for (const double start = timer_.now(); timer_.now() - start < slice;) {
      const double before = timer_.now();
      TARE_RETURN_IF_ERROR(unit(*both[who], rows, launches)());
      if (timer_.now() <= before) return failure(Code::internal, "the timer of launches stands still");
      if (counts) seconds[who] += timer_.now() - before, count[who] += launches;
    }
  }
  for (const size_t who : {0, 1}) seconds[who] /= static_cast<double>(std::max<int64_t>(1, count[who]));
  return seconds;
}

}  // namespace tare
