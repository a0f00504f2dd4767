#include "core/app/time_option.hpp"

#include <charconv>
#include <ctime>
#include <string>

namespace tare {

Result<int64_t> parse_time(std::string_view in) {
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(in.data(), in.data() + in.size(), seconds);
  if (error == std::errc() && end == in.data() + in.size()) return seconds;
  std::tm time{};
  const std::string copy(in);
  const char* rest = strptime(copy.c_str(), "%Y-%m-%d", &time);
  if (rest != nullptr && (*rest == 'T' || *rest == ' ')) rest = strptime(rest + 1, "%H:%M:%S", &time);
  if (rest == nullptr || *rest != '\0')
    return invalid("'", in, "' is no time, expected seconds since 1970 or YYYY-MM-DD[THH:MM:SS]");
  return static_cast<int64_t>(timegm(&time));
}

}  // namespace tare
