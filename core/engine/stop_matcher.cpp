#include "core/engine/stop_matcher.hpp"

#include <algorithm>
#include <utility>

namespace tare {

std::string StopMatcher::push(std::string_view piece) {
  if (matched_) return {};
  held_ += piece;
  size_t best_begin = std::string::npos, best_end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stop.size();
    if (end < best_end || (end == best_end && begin < best_begin)) best_begin = begin, best_end = end, match_ = stop;
  }
  if (best_end != std::string::npos) {
    matched_ = true;
    held_.resize(best_begin);
    return std::exchange(held_, {});
  }
  size_t keep = 0;  // the longest end of the text that begins a stop string
  for (const std::string& stop : stops_)
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n)
      if (held_.ends_with(std::string_view(stop).substr(0, n))) keep = n;
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace tare
