// The table of all settings: one row a key. Parsing, nearest keys, printing, the environment and the reference page all
// read this table, so a new key is one row. [any thread]
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config/settings.hpp"

namespace tare {

using SettingValue = std::variant<bool, int64_t, double, std::string, std::vector<std::string>>;
std::string to_string(const SettingValue& value);  // as TOML

struct SettingRow {
  enum class Kind : uint8_t { text, names, paths, integer, boolean };  // how a variable's text is read
  std::string table, key;  // "model" is a list of tables, the others are one
  Kind kind = Kind::text;
  std::string expected;     // for messages and the reference: "a size such as \"8MiB\", from 1KiB to 1GiB"
  std::string environment;  // variable, or empty
  std::string meaning;
  // Puts a value in; false when it is not as expected. Rows of the table "model" write to the model, others to
  // settings.
  std::function<bool(Settings&, ModelSettings&, const SettingValue&)> set;
  std::function<std::string(Settings&, ModelSettings&)> get;  // as TOML
};
std::vector<SettingRow> setting_rows();

}  // namespace tare
