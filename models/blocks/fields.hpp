// A Config seen from one of its groups: text models inside multimodal checkpoints keep their numbers under
// "text_config.". Problems go to the Config, with the full key. [loader]
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/model.hpp"

namespace tare::blocks {

class Fields {
 public:
  // `config` must outlive the view. `prefix` is empty or ends in a dot.
  Fields(const Config& config, std::string prefix = {}) : config_(&config), prefix_(std::move(prefix)) {}

  bool has(std::string_view key) const { return config_->has(full(key)); }
  bool has_group(std::string_view key) const { return config_->has_group(full(key)); }
  int64_t count(std::string_view key, Where at = Where::current()) const { return config_->count(full(key), at); }
  // `fallback` where the key is absent; otherwise as count(key).
  int64_t count_or(std::string_view key, int64_t fallback, Where at = Where::current()) const {
    return has(key) ? config_->count(full(key), at) : fallback;
  }
  double number(std::string_view key, Where at = Where::current()) const { return config_->number(full(key), at); }
  double get(std::string_view key, double fallback, Where at = Where::current()) const {
    return config_->get(full(key), fallback, at);
  }
  bool flag(std::string_view key, bool fallback, Where at = Where::current()) const {
    return config_->flag(full(key), fallback, at);
  }
  std::string string(std::string_view key, std::string fallback, Where at = Where::current()) const {
    return config_->string(full(key), std::move(fallback), at);
  }
  std::vector<double> numbers(std::string_view key) const { return config_->numbers(full(key)); }
  std::vector<std::string> strings(std::string_view key) const { return config_->strings(full(key)); }
  void problem(const std::string& sentence, Where at = Where::current()) const { config_->problem(sentence, at); }
  std::string full(std::string_view key) const { return prefix_ + std::string(key); }
  const Config& config() const noexcept { return *config_; }

 private:
  const Config* config_;
  std::string prefix_;
};

// Is the checkpoint of this architecture ("MistralForCausalLM")? Reads "architectures".
bool is_architecture(const Config& config, std::string_view architecture);

// num_hidden_layers, from 1 to 10,000: a layer is traced one by one.
int64_t layer_count(const Fields& c, Where at = Where::current());

// By layer: does it slide? "layer_types" decides where it is present (one of full_attention and sliding_attention for
// each layer); otherwise `slides(layer)` does.
std::vector<bool> sliding_layers(const Fields& c, int64_t layers, bool (*slides)(const Fields&, int64_t),
                                 Where at = Where::current());

// The activation that Transformers calls by the name at `key`.
Activation activation(const Fields& c, std::string_view key, std::string fallback, Where at = Where::current());

}  // namespace tare::blocks
