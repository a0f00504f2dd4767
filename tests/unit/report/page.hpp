// What the tests of pages look for in them. Pure.
#pragma once
#include <limits>
#include <string>
#include <string_view>

namespace tare::report_test {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

inline bool has(const std::string& page, std::string_view words) { return page.find(words) != std::string::npos; }
inline size_t count(const std::string& page, std::string_view words) {
  size_t n = 0;
  for (size_t at = page.find(words); at != std::string::npos; at = page.find(words, at + 1)) ++n;
  return n;
}

}  // namespace tare::report_test
