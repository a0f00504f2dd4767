#include "core/base/nearest.hpp"

#include <algorithm>
#include <vector>

namespace tare {

size_t edit_distance(std::string_view a, std::string_view b) {
  // Names are short; a hostile key must not cost a quadratic amount of time.
  constexpr size_t kLongest = 128;
  a = a.substr(0, kLongest), b = b.substr(0, kLongest);
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last), last.swap(row);
  }
  return last[b.size()];
}

std::string nearest_name(std::string_view wanted, std::span<const std::string> candidates) {
  const std::string* best = nullptr;
  size_t best_distance = 0;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(wanted, candidate);
    if (best == nullptr || distance < best_distance) best = &candidate, best_distance = distance;
  }
  if (best == nullptr || 2 * best_distance > std::max(wanted.size(), best->size())) return {};
  return *best;
}

}  // namespace tare
