// What a model plugin provides: a family that reads config.json and traces its entries. [loader]
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/api/graph.hpp"

namespace tare {

// A read-only view of config.json with dotted keys ("rope_scaling.factor"; list elements are "layer_types.0"). Every
// number comes from it. `count`, `number` ask for keys a model cannot do without: a missing or mistyped one is noted in
// `problems` with the model's line, and 1 (or "") is returned so that the trace can go on. The others state the default
// that the architecture's authors chose. `null` counts as absent.
class Config {
 public:
  using Value = std::variant<bool, double, std::string>;
  using Values = std::map<std::string, Value, std::less<>>;
  explicit Config(Values values) : values_(std::move(values)) {}

  bool has(std::string_view key) const { return values_.find(key) != values_.end(); }
  // Does any key begin with `prefix.`? (an object or a list)
  bool has_group(std::string_view prefix) const {
    const auto at = values_.lower_bound(std::string(prefix) + ".");
    return at != values_.end() && at->first.starts_with(std::string(prefix) + ".");
  }
  double number(std::string_view key, Where where = Where::current()) const {
    return required<double>(key, "a number", 1, where);
  }
  int64_t count(std::string_view key, Where where = Where::current()) const {
    const double value = number(key, where);
    if (value < 1 || value > 1e12 || value != static_cast<double>(static_cast<int64_t>(value))) {
      problem(text("'", key, "' is ", value, ", expected a whole number from 1 to 1e12"), where);
      return 1;
    }
    return static_cast<int64_t>(value);
  }
  double get(std::string_view key, double fallback, Where where = Where::current()) const {
    return optional<double>(key, "a number", fallback, where);
  }
  bool flag(std::string_view key, bool fallback, Where where = Where::current()) const {
    const auto at = values_.find(key);
    if (at == values_.end()) return fallback;
    if (const bool* b = std::get_if<bool>(&at->second)) return *b;
    if (const double* d = std::get_if<double>(&at->second)) return *d != 0;
    problem(text("'", key, "' is \"", std::get<std::string>(at->second), "\", expected true or false"), where);
    return fallback;
  }
  std::string string(std::string_view key, std::string fallback, Where where = Where::current()) const {
    return optional<std::string>(key, "a string", std::move(fallback), where);
  }
  std::vector<double> numbers(std::string_view key) const {
    std::vector<double> out;
    for (size_t i = 0;; ++i) {
      const auto at = values_.find(text(key, ".", i));
      if (at == values_.end() || !std::holds_alternative<double>(at->second)) return out;
      out.push_back(std::get<double>(at->second));
    }
  }
  std::vector<std::string> strings(std::string_view key) const {
    std::vector<std::string> out;
    for (size_t i = 0;; ++i) {
      const auto at = values_.find(text(key, ".", i));
      if (at == values_.end() || !std::holds_alternative<std::string>(at->second)) return out;
      out.push_back(std::get<std::string>(at->second));
    }
  }
  const Values& values() const noexcept { return values_; }

  void problem(std::string sentence, Where where) const {
    const std::string_view path = where.file_name();
    problems_.push_back(text(path.substr(path.rfind('/') + 1), ":", where.line(), ": config.json: ", sentence));
  }
  const std::vector<std::string>& problems() const noexcept { return problems_; }

 private:
  template <class T>
  T optional(std::string_view key, std::string_view wanted, T fallback, Where where) const {
    const auto at = values_.find(key);
    if (at == values_.end()) return fallback;
    if (const T* value = std::get_if<T>(&at->second)) return *value;
    problem(text("'", key, "' has the wrong type, expected ", wanted), where);
    return fallback;
  }
  template <class T>
  T required(std::string_view key, std::string_view wanted, T stand_in, Where where) const {
    if (!has(key)) problem(text("'", key, "' is missing, expected ", wanted), where);
    return optional<T>(key, wanted, stand_in, where);
  }

  Values values_;
  mutable std::vector<std::string> problems_;  // sticky: all of a config's mistakes are reported in one run
};

// One way into the model: a function of (Config, Graph). "text" is required; "draft", "vision", "encode" are further
// ones. Entries share weights by name, and the engine connects an output to the input of the same name.
struct Entry {
  std::string name;
  void (*trace)(const Config&, Graph&) = nullptr;
};

// How GGUF stores a family: names, hyperparameters and the transformations that are undone at read (llama.cpp's
// conversion scripts are the source). '*' stands for the layer's number.
struct GgufTensor {
  enum class Undo : uint8_t {
    none,
    pair_rows_q,   // rows were permuted inside each head from halves to neighbours; heads: head count
    pair_rows_kv,  // the same with the kv head count
    minus_one,     // 1 was added to every element (Gemma's norms)
  };
  std::string gguf, checkpoint;  // "blk.*.attn_q.weight", "model.layers.*.self_attn.q_proj.weight"
  Undo undo = Undo::none;
};
struct GgufKey {
  std::string gguf, config;  // "llama.block_count", "num_hidden_layers"
};
struct GgufMapping {
  std::string architecture;  // general.architecture
  std::string model_type;    // what config.json's "architectures" would say
  std::vector<GgufKey> keys;
  std::vector<GgufTensor> tensors;
  std::vector<std::pair<std::string, Config::Value>> constants;  // config entries that every such file implies
};

// A family of architectures. `config_keys` are those that it reads or knows to be harmless: an unknown architecture is
// refused with the nearest family and the keys that differ.
struct ModelFamily {
  std::string id;                          // "llama"
  std::vector<std::string> architectures;  // as in config.json "architectures"
  std::vector<Entry> entries;
  std::vector<std::string> config_keys;
  std::vector<GgufMapping> gguf;
};

}  // namespace tare
