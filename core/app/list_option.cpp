#include "core/app/list_option.hpp"

#include <algorithm>
#include <charconv>

namespace tare {

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    out.emplace_back(list.substr(begin, end - begin)), begin = end + 1;
  }
  return out;
}

Result<std::vector<int64_t>> parse_numbers(std::string_view option, std::string_view list) {
  std::vector<int64_t> out;
  for (const std::string& word : split_list(list)) {
    int64_t value = 0;
    const char* const end = word.data() + word.size();
    const auto [at, error] = std::from_chars(word.data(), end, value);
    if (error != std::errc() || at != end)
      return invalid(option, " is '", list, "', expected numbers with commas between");
    out.push_back(value);
  }
  return out;
}

}  // namespace tare
