// Which folder may include which, and where heavy third parties live: DESIGN's arrows as a table.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace tare::house {

struct Include {
  int line = 0;
  std::string target;   // "core/api/status.hpp"
  bool quoted = false;  // "..." or <...>
};
std::vector<Include> includes(std::string_view content);

// What is wrong with `path` including `include`, in one sentence, or "".
std::string wrong_include(const std::string& path, const Include& include);

}  // namespace tare::house
