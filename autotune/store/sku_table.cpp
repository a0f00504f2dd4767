#include "autotune/store/sku_table.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "core/base/printable.hpp"

namespace tare {
namespace {

Status read(const toml::table& table, std::string_view key, std::string& out) {
  const auto* v = table.get_as<std::string>(key);
  if (v == nullptr || v->get().empty()) return invalid(key, " is missing or no text");
  out = v->get();
  return {};
}
Status read(const toml::table& table, std::string_view key, double& out) {
  const auto v = table.get(key) == nullptr ? std::nullopt : table.get(key)->value<double>();
  if (!v || !std::isfinite(*v) || *v < 0) return invalid(key, " is missing or no number that is at least 0");
  out = *v;
  return {};
}

}  // namespace

Result<std::vector<SkuDescription>> parse_sku_table(std::string_view toml, std::string_view source) {
  const toml::parse_result parsed = toml::parse(toml);
  if (!parsed)
    return invalid(source, ":", parsed.error().source().begin.line, ": ",
                   printable(std::string(parsed.error().description()), 200));
  std::vector<SkuDescription> out;
  for (const auto& [key, node] : parsed.table()) {
    const std::string where = text(source, ":", key.source().begin.line, ": ", printable(key.str(), 60));
    const toml::table* table = node.as_table();
    if (table == nullptr) return invalid(where, " is no table");
    SkuDescription s;
    s.sku = key.str();
    double units = 0, gib = 0;
    for (auto [name, field] : {std::pair<const char*, std::string*>{"device", &s.device},
                               {"kind", &s.kind},
                               {"architecture", &s.architecture}})
      TARE_RETURN_IF_ERROR(read(*table, name, *field).in(where));
    for (auto [name, field] : {std::pair<const char*, double*>{"units", &units},
                               {"memory_gib", &gib},
                               {"gb_s", &s.gb_s},
                               {"tflops", &s.tflops},
                               {"watts", &s.watts}})
      TARE_RETURN_IF_ERROR(read(*table, name, *field).in(where));
    constexpr std::string_view kKnown[] = {"device",     "kind", "architecture", "units",
                                           "memory_gib", "gb_s", "tflops",       "watts"};
    for (const auto& [field, value] : *table)
      if (std::ranges::find(kKnown, std::string_view(field.str())) == std::end(kKnown))
        return invalid(where, ": field '", printable(field.str(), 60), "' is unknown");
    if (units > 1e6 || gib > 1e6) return invalid(where, ": units or memory_gib is out of range");
    s.units = static_cast<int64_t>(units);
    s.memory_bytes = static_cast<int64_t>(gib * (int64_t{1} << 30));
    out.push_back(std::move(s));
  }
  return out;
}

std::string sku_of(std::string_view device_name, std::span<const SkuDescription> table) {
  for (const SkuDescription& s : table)
    if (s.device == device_name) return s.sku;
  std::string out;
  for (const char c : device_name) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0)
      out += static_cast<char>(std::tolower(u));
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "unknown" : out;
}

DeviceInfo to_device_info(const SkuDescription& sku) {
  DeviceInfo info;
  info.id = sku.kind + ":0", info.kind = sku.kind, info.name = sku.device, info.architecture = sku.architecture;
  info.sku = sku.sku, info.memory_bytes = sku.memory_bytes, info.units = static_cast<int32_t>(sku.units);
  return info;
}

}  // namespace tare
