#include "core/app/generation_config.hpp"

#include <charconv>
#include <cmath>
#include <limits>

#include "core/config/model_config.hpp"

namespace tare {
namespace {

constexpr std::string_view kFile = "generation_config.json";

std::string print(double number) {
  char digits[40];
  return {digits, std::to_chars(digits, digits + sizeof digits, number).ptr};
}
std::string print(float number) {
  char digits[40];
  return {digits, std::to_chars(digits, digits + sizeof digits, number).ptr};
}

class Reader {
 public:
  Reader(const Config::Values& values, std::vector<std::string>& notes) : values_(values), notes_(notes) {}
  // The number of a key within bounds; nothing where it is absent.
  std::optional<double> number(const char* key, double least, double most, bool whole) {
    const auto at = values_.find(key);
    if (at == values_.end()) return std::nullopt;
    const auto* number = std::get_if<double>(&at->second);
    if (number != nullptr && *number >= least && *number <= most && (!whole || std::trunc(*number) == *number))
      return *number;
    notes_.push_back(text(kFile, " has ", key, number != nullptr ? " " + print(*number) : " that is no number",
                          ", expected a ", whole ? "whole " : "", "number from ", print(least), " to ", print(most),
                          ": it is not used"));
    return std::nullopt;
  }
  void real(const char* key, double least, double most, std::optional<float>& to) {
    if (const auto n = number(key, least, most, false)) to = static_cast<float>(*n);
  }

 private:
  const Config::Values& values_;
  std::vector<std::string>& notes_;
};

}  // namespace

SamplingDefaults read_generation_config(std::string_view json, std::vector<std::string>& notes) {
  SamplingDefaults out;
  if (json.empty()) return out;
  const auto values = parse_model_config(json, kFile);
  if (!values.ok()) {
    notes.push_back(values.status().message() + ": it is not used");
    return out;
  }
  Reader reader(*values, notes);
  // The bounds are the engine's (core/engine/check_request.cpp): what it would refuse is no default.
  reader.real("temperature", 0, 1e4, out.temperature);
  reader.real("top_p", 1e-6, 1, out.top_p);
  reader.real("min_p", 0, 1, out.min_p);
  reader.real("repetition_penalty", 0.01, 10, out.repetition_penalty);
  // Some files turn it off by -1.
  if (const auto k = reader.number("top_k", -1, std::numeric_limits<int32_t>::max(), true))
    out.top_k = static_cast<int32_t>(std::max(0.0, *k));
  if (const auto at = values->find("do_sample"); at != values->end())
    if (const auto* sample = std::get_if<bool>(&at->second); sample != nullptr && !*sample) out.temperature = 0.0f;
  return out;
}

std::string to_string(const SamplingDefaults& d) {
  std::string out;
  const auto add = [&](std::string_view name, const auto& value) {
    if (value) out += text(out.empty() ? "" : ", ", name, " ", print(*value));
  };
  add("temperature", d.temperature), add("top_p", d.top_p), add("min_p", d.min_p);
  add("repetition_penalty", d.repetition_penalty);
  if (d.top_k) out += text(out.empty() ? "" : ", ", "top_k ", *d.top_k);
  return out;
}

}  // namespace tare
