#include "core/config/values.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

namespace tare {
namespace {

using Unit = std::pair<std::string_view, double>;
constexpr Unit kSizes[] = {{"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"TB", 1e12},
                           {"GB", 1e9},     {"MB", 1e6},     {"kB", 1e3},     {"B", 1},        {"", 1}};
constexpr Unit kDurations[] = {{"h", 3.6e6}, {"min", 6e4}, {"s", 1e3}, {"ms", 1}};

std::optional<double> parse_number(std::string_view text, std::string_view* rest) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(value) || value < 0 || std::signbit(value)) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  while (text.starts_with(' ')) text.remove_prefix(1);
  *rest = text;
  return value;
}
std::optional<int64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  std::string_view rest;
  const auto number = parse_number(text, &rest);
  if (!number) return std::nullopt;
  for (const auto& [name, factor] : units) {
    if (rest != name) continue;
    const double value = *number * factor;
    if (value > 0x1p62) return std::nullopt;
    return std::llround(value);
  }
  return std::nullopt;
}
// The largest unit that divides it, else the last.
std::string print_with_unit(int64_t value, std::span<const Unit> units) {
  for (const auto& [name, factor] : units)
    if (const auto unit = static_cast<int64_t>(factor); value != 0 && value % unit == 0)
      return std::to_string(value / unit) + std::string(name);
  return std::to_string(value) + std::string(units.back().first);
}

}  // namespace

std::optional<int64_t> parse_size(std::string_view text) { return parse_with_unit(text, kSizes); }
std::string print_size(int64_t bytes) {
  constexpr Unit binary[] = {kSizes[0], kSizes[1], kSizes[2], kSizes[3], {"B", 1}};
  return print_with_unit(bytes, binary);
}
std::optional<int64_t> parse_duration_ms(std::string_view text) { return parse_with_unit(text, kDurations); }
std::string print_duration_ms(int64_t milliseconds) { return print_with_unit(milliseconds, kDurations); }
std::optional<double> parse_share(std::string_view text) {
  std::string_view rest;
  const auto number = parse_number(text, &rest);
  if (!number || rest != "%" || *number <= 0 || *number > 100) return std::nullopt;
  return *number / 100;
}
std::string print_share(double share) {
  char digits[40];
  // The shortest percentage that reads back to the same share.
  for (int precision = 1; precision < 17; ++precision) {
    const auto end =
        std::to_chars(digits, digits + sizeof digits, share * 100, std::chars_format::general, precision).ptr;
    const std::string text = std::string(digits, end) + "%";
    if (parse_share(text) == share) return text;
  }
  return std::string(digits, std::to_chars(digits, digits + sizeof digits, share * 100).ptr) + "%";
}

std::optional<std::vector<BatchShare>> parse_mix(std::string_view text) {
  constexpr std::string_view kMark = "mix:";
  if (!text.starts_with(kMark)) return std::nullopt;
  text.remove_prefix(kMark.size());
  std::vector<BatchShare> out;
  double sum = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string_view part = text.substr(begin, end - begin), rest;
    begin = end + 1;
    BatchShare one;
    while (part.starts_with(' ')) part.remove_prefix(1);
    const auto [equals, error] = std::from_chars(part.data(), part.data() + part.size(), one.rows);
    if (error != std::errc() || one.rows < 1 || one.rows > 4096 || equals == part.data() + part.size() ||
        *equals != '=' || out.size() == 16)
      return std::nullopt;
    const auto share = parse_number(std::string_view(equals + 1, static_cast<size_t>(part.end() - equals - 1)), &rest);
    if (!share || !rest.empty() || !(*share > 0) || *share > 1e6) return std::nullopt;
    one.share = *share, sum += *share;
    if (std::ranges::find(out, one.rows, &BatchShare::rows) != out.end()) return std::nullopt;
    out.push_back(one);
  }
  if (std::abs(sum - 1) > 1e-9)  // else they are printed as they were read
    for (BatchShare& one : out) one.share /= sum;
  std::ranges::sort(out, {}, &BatchShare::rows);
  return out;
}
std::string print_mix(const std::vector<BatchShare>& mix) {
  std::string out = "mix:";
  for (const BatchShare& one : mix) {
    char digits[400];
    const auto end = std::to_chars(digits, digits + sizeof digits, one.share, std::chars_format::fixed).ptr;
    out += (out.size() > 4 ? "," : "") + std::to_string(one.rows) + "=" + std::string(digits, end);
  }
  return out;
}

}  // namespace tare
