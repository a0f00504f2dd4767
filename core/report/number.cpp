#include "core/report/number.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace tare::report {
namespace {

std::string fixed(double value, int decimals) {
  std::array<char, 512> out;
  const auto [end, error] =
      std::to_chars(out.data(), out.data() + out.size(), value, std::chars_format::fixed, decimals);
  if (error != std::errc()) return "?";
  std::string digits(out.data(), end);
  if (digits.starts_with('-') && digits.find_first_not_of("-0.") == std::string::npos) digits.erase(0, 1);
  return digits;
}
void drop_zeros(std::string& digits) {
  if (digits.find('.') == std::string::npos) return;
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.ends_with('.')) digits.pop_back();
}
void group(std::string& digits) {
  const size_t sign = digits.starts_with('-') ? 1 : 0;
  size_t end = std::min(digits.find('.'), digits.size());
  if (end - sign <= 4) return;  // 1234 stays together
  while (end > sign + 3) digits.insert(end -= 3, "\u202f");
}

}  // namespace

std::string number(double value, int decimals) {
  if (!std::isfinite(value)) return "\u2013";
  const double size = std::abs(value);
  if (size >= 1e15 || (decimals < 0 && size != 0 && size < 1e-4)) {
    std::array<char, 64> out;
    const auto [end, error] =
        std::to_chars(out.data(), out.data() + out.size(), value, std::chars_format::scientific, 2);
    return error == std::errc() ? std::string(out.data(), end) : "?";
  }
  std::string digits;
  if (decimals >= 0)
    digits = fixed(value, decimals);
  else if (value == std::floor(value))
    digits = fixed(value, 0);
  else
    digits = fixed(value, size == 0 ? 0 : std::clamp(3 - static_cast<int>(std::floor(std::log10(size))), 0, 8));
  if (decimals < 0) drop_zeros(digits);
  group(digits);
  return digits;
}

std::string coordinate(double value) {
  std::string digits = fixed(std::isfinite(value) ? std::clamp(value, -1e6, 1e6) : 0, 2);
  drop_zeros(digits);
  return digits;
}

std::string tick_label(double value, double step) {
  static constexpr std::array<std::pair<double, const char*>, 4> kUnits{
      {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  double unit = 1;
  const char* suffix = "";
  for (const auto& [size, name] : kUnits)
    if (std::abs(value) >= size * (size == 1e3 ? 10 : 1)) {
      unit = size, suffix = name;
      break;
    }
  const double in_unit = step / unit;
  if (std::abs(value) >= 1e15 || (step != 0 && step < 1e-6)) return number(value);
  std::string digits =
      fixed(value / unit, in_unit > 0 ? std::clamp(2 - int(std::floor(std::log10(in_unit))), 0, 8) : 2);
  drop_zeros(digits);
  return digits + suffix;
}

std::vector<double> nice_ticks(double low, double high, int wanted) {
  const double raw = (high - low) / std::max(1, wanted);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (double factor : {1.0, 2.0, 2.5, 5.0})
    if (factor * power >= raw * 0.999) {
      step = factor * power;
      break;
    }
  // A speck of tolerance: 0.3 / 0.1 is a little less than 3.
  const double begin = std::floor(low / step + 1e-9), end = std::ceil(high / step - 1e-9);
  std::vector<double> out;
  for (double i = begin; i <= end && out.size() < 100; ++i) out.push_back(i * step);
  return out;
}

std::vector<double> log_ticks(double low, double high, Scale scale, int wanted) {
  const double base = scale == Scale::log2 ? 2 : 10;
  const auto exponent = [&](double v) { return scale == Scale::log2 ? std::log2(v) : std::log10(v); };
  int begin = int(std::floor(exponent(low) + 1e-9)), end = int(std::ceil(exponent(high) - 1e-9));
  if (begin == end) ++end;
  const int stride = std::max(1, (end - begin + wanted - 1) / std::max(1, wanted));
  std::vector<double> out;
  for (int e = begin; e < end + stride; e += stride) {
    out.push_back(std::pow(base, e));
    if (scale == Scale::log10 && end - begin <= 2 && e < end)
      for (double factor : {2, 5}) out.push_back(factor * std::pow(base, e));
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 32 && c != '\n' && c != '\t')
          out += "\uFFFD";
        else
          out += c;
    }
  return out;
}

}  // namespace tare::report
