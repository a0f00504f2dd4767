#include "core/synth/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace tare::synth {
namespace {

// With three digits behind the point.
std::string digits(double value) {
  const long long thousandths = std::llround(value * 1000);
  const std::string behind = std::to_string(1000 + thousandths % 1000);
  return std::to_string(thousandths / 1000) + "." + behind.substr(1);
}
Status between(std::string_view what, double found, double low, double high, std::string_view unit) {
  if (found >= low && found <= high) return {};
  return failure(Code::internal, what, ": found ", digits(found), " ", unit, ", expected ", digits(low), " to ",
                 digits(high));
}
std::string listed(const std::vector<std::string>& names) {
  if (names.empty()) return "none";
  std::string out;
  for (size_t i = 0; i < names.size() && i < 5; ++i) out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > 5 ? out + " and " + std::to_string(names.size() - 5) + " more" : out;
}

}  // namespace

Statistics statistics_of(const std::vector<MatrixStatistics>& matrices) {
  Statistics out;
  double all = 0;
  for (const MatrixStatistics& m : matrices) {
    const auto numbers = static_cast<double>(m.counts.total());
    all += numbers;
    out.entropy += numbers * m.counts.entropy();
    out.outside_7 += numbers * m.counts.outside(7);
    out.outside_15 += numbers * m.counts.outside(15);
    if (m.counts.outside(7) > 0.3) out.wide.push_back(m.name);
  }
  if (all > 0) out.entropy /= all, out.outside_7 /= all, out.outside_15 /= all;
  std::sort(out.wide.begin(), out.wide.end());
  return out;
}

Status check(const Statistics& found, const std::vector<std::string>& wide) {
  TARE_RETURN_IF_ERROR(between("mean entropy of the exponents", found.entropy, 2.62, 2.70, "bits"));
  TARE_RETURN_IF_ERROR(between("mean share outside the best 7 exponents", 100 * found.outside_7, 2.7, 4.3, "%"));
  TARE_RETURN_IF_ERROR(between("mean share outside the best 15 exponents", 100 * found.outside_15, 0.02, 0.05, "%"));
  std::vector<std::string> expected = wide;
  std::sort(expected.begin(), expected.end());
  if (found.wide != expected)
    return failure(Code::internal, "matrices with more than 30 % outside their best 7 exponents: found ",
                   listed(found.wide), ", expected ", listed(expected));
  return {};
}

}  // namespace tare::synth
