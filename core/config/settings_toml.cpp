// TOML into settings. The only user of toml++.
#include <set>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "core/base/file.hpp"
#include "core/base/nearest.hpp"
#include "core/base/printable.hpp"
#include "core/config/schema.hpp"

namespace tare {
namespace {

constexpr int64_t kMostBytes = 1 << 20;

std::string default_name(const std::string& source) {
  std::string name = file_name(source);
  for (const std::string_view ending : {".gguf", ".safetensors", ".tare"})
    if (name.ends_with(ending) && name.size() > ending.size()) return name.substr(0, name.size() - ending.size());
  return name;
}

class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file.empty() ? "settings" : file), rows_(setting_rows()) {
    for (const SettingRow& row : rows_)
      if (tables_.empty() || tables_.back() != row.table) tables_.push_back(row.table);
  }

  Status read(const toml::table& root, Settings* settings) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      if (std::find(tables_.begin(), tables_.end(), name) == tables_.end()) return unknown_table(key, node);
      if (name == "model") {
        TARE_RETURN_IF_ERROR(read_models(node, settings));
        continue;
      }
      const toml::table* table = node.as_table();
      if (table == nullptr)
        return refuse(key.source(), text(name, " is ", found(node), ", expected a table [", name, "]"));
      ModelSettings none;
      TARE_RETURN_IF_ERROR(read_table(name, *table, settings, &none));
    }
    return {};
  }

 private:
  Status refuse(const toml::source_region& at, const std::string& sentence) const {
    return invalid(file_, ":", at.begin.line, ": ", sentence);
  }
  static std::string found(const toml::node& node) {
    const SettingValue value = value_of(node);
    if (const auto* text = std::get_if<std::string>(&value)) return json_string(printable(*text, 60));
    if (node.is_table()) return "a table";
    if (node.is_array()) return "a list";
    if (node.is_date() || node.is_time() || node.is_date_time()) return "a date or time";
    return to_string(value);
  }
  // Dates, tables and mixed lists come out as an empty list of one empty text, which no row takes.
  static SettingValue value_of(const toml::node& node) {
    if (const auto* v = node.as_boolean()) return v->get();
    if (const auto* v = node.as_integer()) return v->get();
    if (const auto* v = node.as_floating_point()) return v->get();
    if (const auto* v = node.as_string()) return v->get();
    std::vector<std::string> list;
    if (const auto* array = node.as_array()) {
      for (const auto& element : *array) {
        const auto* text = element.as_string();
        if (text == nullptr) return std::vector<std::string>{""};
        list.push_back(text->get());
      }
      return list;
    }
    return std::vector<std::string>{""};
  }

  Status unknown_table(const toml::key& key, const toml::node& node) const {
    const std::string name(key.str());
    for (const SettingRow& row : rows_)
      if (row.key == name && !node.is_table())
        return refuse(key.source(), text("'", name, "' stands outside of a table, expected it in [", row.table, "]"));
    std::string known;
    for (const std::string& table : tables_) known += text(known.empty() ? "" : ", ", table);
    const std::string nearest = nearest_name(name, tables_);
    return refuse(key.source(), text("there is no table '", printable(name, 60), "', expected one of ", known,
                                     nearest.empty() ? "" : "; the nearest is '" + nearest + "'"));
  }

  Status unknown_key(const std::string& table, const toml::key& key, const toml::node& node) const {
    std::vector<std::string> keys;
    std::string known, elsewhere;
    for (const SettingRow& row : rows_) {
      if (row.table == table) keys.push_back(row.key), known += text(known.empty() ? "" : ", ", row.key);
      if (row.key == key.str()) elsewhere = row.table;
    }
    const std::string nearest = nearest_name(key.str(), keys);
    return refuse(key.source(), text("[", table, "] has no key '", printable(key.str(), 60), "' (found ", found(node),
                                     "), expected one of ", known,
                                     !elsewhere.empty() ? "; there is one in [" + elsewhere + "]"
                                     : nearest.empty()  ? ""
                                                        : "; the nearest is '" + nearest + "'"));
  }

  Status read_table(const std::string& name, const toml::table& table, Settings* settings, ModelSettings* model) {
    for (const auto& [key, node] : table) {
      const auto row = std::find_if(rows_.begin(), rows_.end(),
                                    [&, k = key.str()](const SettingRow& r) { return r.table == name && r.key == k; });
      if (row == rows_.end()) return unknown_key(name, key, node);
      if (!row->set(*settings, *model, value_of(node)))
        return refuse(node.source(),
                      text("[", name, "] ", row->key, " is ", found(node), ", expected ", row->expected));
    }
    return {};
  }

  Status read_models(const toml::node& node, Settings* settings) {
    const toml::array* list = node.as_array();
    if (list == nullptr || !std::all_of(list->begin(), list->end(), [](const auto& n) { return n.is_table(); }))
      return refuse(node.source(), text("model is ", found(node), ", expected [[model]] in double brackets"));
    std::set<std::string> names;
    for (const auto& element : *list) {
      ModelSettings model;
      TARE_RETURN_IF_ERROR(read_table("model", *element.as_table(), settings, &model));
      if (model.source.empty()) return refuse(element.source(), "[[model]] has no source, expected a path");
      if (model.name.empty()) model.name = default_name(model.source);
      if (!names.insert(model.name).second)
        return refuse(element.source(), text("a second [[model]] has the name '", printable(model.name, 60),
                                             "', expected a name of its own"));
      settings->models.push_back(std::move(model));
    }
    return {};
  }

  std::string file_;
  std::vector<SettingRow> rows_;
  std::vector<std::string> tables_;
};

}  // namespace

Result<Settings> parse_settings(std::string_view toml_text, std::string_view file) {
  const std::string name(file.empty() ? "settings" : file);
  const toml::parse_result parsed = toml::parse(toml_text, name);
  if (!parsed)
    return invalid(name, ":", parsed.error().source().begin.line,
                   ": is no valid TOML: ", printable(parsed.error().description(), 200));
  Settings settings;
  settings.file = file;
  TARE_RETURN_IF_ERROR(Reader(name).read(parsed.table(), &settings));
  return settings;
}

Result<Settings> load_settings(const std::string& path, const Environment& environment) {
  TARE_ASSIGN_OR_RETURN(const std::string toml_text, read_file(path, kMostBytes));
  TARE_ASSIGN_OR_RETURN(Settings settings, parse_settings(toml_text, path));
  if (settings.models.empty()) return invalid(path, ": has no [[model]], expected at least one with a source");
  TARE_RETURN_IF_ERROR(apply_environment(environment, &settings));
  return settings;
}

Result<Settings> settings_for_model(const std::string& model_path, const Environment& environment) {
  Settings settings;
  ModelSettings model;
  model.source = model_path;
  model.name = default_name(model_path);
  settings.models.push_back(std::move(model));
  TARE_RETURN_IF_ERROR(apply_environment(environment, &settings));
  return settings;
}

}  // namespace tare
