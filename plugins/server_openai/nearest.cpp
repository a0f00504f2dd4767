#include "plugins/server_openai/nearest.hpp"

#include <algorithm>
#include <vector>

namespace tare::server {
namespace {

// Levenshtein distance, one row at a time.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] != b[j] ? 1 : 0);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, diagonal + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view wanted, std::span<const std::string_view> candidates) {
  // Names are short; a hostile one must not cost a quadratic amount of time.
  wanted = wanted.substr(0, 64);
  std::string_view best;
  size_t least = 0;
  for (std::string_view candidate : candidates) {
    const size_t found = distance(wanted, candidate);
    if (best.empty() || found < least) best = candidate, least = found;
  }
  return 2 * least > std::max(wanted.size(), best.size()) ? std::string_view() : best;
}

}  // namespace tare::server
