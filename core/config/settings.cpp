#include "core/config/settings.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/base/file.hpp"
#include "core/base/printable.hpp"
#include "core/config/schema.hpp"

namespace tare {
namespace {

SettingValue value_of_variable(SettingRow::Kind kind, const std::string& text) {
  if (kind == SettingRow::Kind::integer) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
  }
  if (kind == SettingRow::Kind::boolean && (text == "true" || text == "1")) return true;
  if (kind == SettingRow::Kind::boolean && (text == "false" || text == "0")) return false;
  if (kind == SettingRow::Kind::paths || kind == SettingRow::Kind::names) {
    const char separator = kind == SettingRow::Kind::paths ? ':' : ',';  // a device's name may hold ':'
    std::vector<std::string> list;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(separator, begin), text.size());
      if (end > begin) list.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return list;
  }
  return text;
}

}  // namespace

std::string Settings::resolve(std::string_view path) const {
  return file.empty() ? std::string(path) : join_path(folder_name(file), path);
}

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

Status apply_environment(const Environment& environment, Settings* settings) {
  ModelSettings none;
  for (const SettingRow& row : setting_rows()) {
    if (row.environment.empty()) continue;
    const auto text = environment(row.environment.c_str());
    if (!text || text->empty()) continue;
    if (!row.set(*settings, none, value_of_variable(row.kind, *text)))
      return invalid("the environment's ", row.environment, " is ", json_string(printable(*text, 60)), ", expected ",
                     row.expected);
  }
  return {};
}

std::string print_settings(const Settings& settings) {
  Settings copy = settings;  // rows give references to change, and nothing here is changed
  ModelSettings none;
  std::string out, table;
  const auto rows = setting_rows();
  for (const SettingRow& row : rows) {
    if (row.table == "model") {
      if (std::exchange(table, row.table) == row.table) continue;
      for (ModelSettings& model : copy.models) {
        out += "\n[[model]]\n";
        for (const SettingRow& r : rows)
          if (r.table == "model") out += r.key + " = " + r.get(copy, model) + "\n";
      }
      continue;
    }
    if (std::exchange(table, row.table) != row.table) out += text(out.empty() ? "" : "\n", "[", row.table, "]\n");
    out += row.key + " = " + row.get(copy, none) + "\n";
  }
  return out;
}

std::string settings_reference() {
  Settings settings;
  ModelSettings model;
  std::string out = "| key | value | default | variable | meaning |\n|---|---|---|---|---|\n";
  for (const SettingRow& row : setting_rows()) {
    const std::string table = row.table == "model" ? "[[model]]" : "[" + row.table + "]";
    const bool none = row.table == "model" && (row.key == "name" || row.key == "source");
    out += text("| `", table, "` `", row.key, "` | ", row.expected, " | ",
                none ? "" : "`" + row.get(settings, model) + "`", " | ",
                row.environment.empty() ? "" : "`" + row.environment + "`", " | ", row.meaning, " |\n");
  }
  return out;
}

Result<std::vector<std::string>> read_api_keys(const std::string& path) {
  TARE_ASSIGN_OR_RETURN(const std::string content, read_file(path, 1 << 20));
  std::vector<std::string> keys;
  size_t line = 0;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    std::string_view key = std::string_view(content).substr(begin, end - begin);
    begin = end + 1, ++line;
    const size_t first = key.find_first_not_of(" \t\r");
    if (first == key.npos || key[first] == '#') continue;
    key = key.substr(first, key.find_last_not_of(" \t\r") + 1 - first);
    if (key.size() < 8 || std::any_of(key.begin(), key.end(), [](char c) { return c <= ' ' || c == 0x7f; }))
      return invalid(path, ":", line, ": is no API key, expected at least 8 characters without spaces");
    keys.emplace_back(key);
  }
  if (keys.empty()) return invalid(path, ": has no API key, expected one a line");
  return keys;
}

constexpr std::string_view kObjectives[] = {"latency", "throughput", "balanced", "memory"};
bool parse_objective(std::string_view text, ModelSettings* model) {
  if (auto mix = parse_mix(text)) {
    model->objective = Objective::mix, model->mix = std::move(*mix);
    return true;
  }
  const auto at = std::find(std::begin(kObjectives), std::end(kObjectives), text);
  if (at == std::end(kObjectives)) return false;
  model->objective = static_cast<Objective>(at - kObjectives), model->mix.clear();
  return true;
}
std::string print_objective(const ModelSettings& model) {
  return model.objective == Objective::mix ? print_mix(model.mix)
                                           : std::string(kObjectives[static_cast<size_t>(model.objective)]);
}

Status parse_listen(std::string_view text, ServerSettings* server) {
  const auto refuse = [&] {
    return invalid("the address is ", json_string(printable(text, 60)),
                   ", expected one such as 127.0.0.1:8080 or [::1]:8080");
  };
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return refuse();
  std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == ':' || c == '%' || c == '_';
  });
  if (host.empty() || !plain || (host.find(':') != host.npos) != brackets || digits.empty() || error != std::errc() ||
      end != digits.data() + digits.size())
    return refuse();
  server->host = host;
  server->port = port;
  return {};
}

UserFolders user_folders(const Environment& environment) {
  const auto home = environment("HOME");
  // The specification has relative paths ignored.
  const auto folder = [&](const char* variable, const char* below_home) -> std::string {
    if (const auto base = environment(variable); base && base->starts_with('/')) return join_path(*base, "tare");
    return home && home->starts_with('/') ? join_path(*home, std::string(below_home) + "/tare") : std::string();
  };
  return {.data = folder("XDG_DATA_HOME", ".local/share"), .cache = folder("XDG_CACHE_HOME", ".cache")};
}

}  // namespace tare
