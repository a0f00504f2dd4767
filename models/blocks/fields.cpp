#include "models/blocks/fields.hpp"

#include <algorithm>

namespace tare::blocks {

bool is_architecture(const Config& config, std::string_view architecture) {
  const std::vector<std::string> all = config.strings("architectures");
  return std::ranges::find(all, architecture) != all.end();
}

int64_t layer_count(const Fields& c, Where at) {
  const int64_t layers = c.count("num_hidden_layers", at);
  if (layers <= 10000) return layers;
  c.problem(text("'", c.full("num_hidden_layers"), "' is ", layers, ", expected at most 10000"), at);
  return 1;
}

std::vector<bool> sliding_layers(const Fields& c, int64_t layers, bool (*slides)(const Fields&, int64_t), Where at) {
  std::vector<bool> out(static_cast<size_t>(layers));
  if (!c.has_group("layer_types")) {
    for (int64_t i = 0; i < layers; ++i) out[static_cast<size_t>(i)] = slides(c, i);
    return out;
  }
  const std::vector<std::string> types = c.strings("layer_types");
  if (types.size() != out.size()) {
    c.problem(text("'", c.full("layer_types"), "' has ", types.size(), " entries, expected one for each of ", layers,
                   " layers"),
              at);
    return out;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = types[i] == "sliding_attention";
    if (!out[i] && types[i] != "full_attention")
      c.problem(text("'", c.full("layer_types"), ".", i, "' is \"", types[i],
                     "\", expected full_attention or sliding_attention"),
                at);
  }
  return out;
}

Activation activation(const Fields& c, std::string_view key, std::string fallback, Where at) {
  const std::string name = c.string(key, std::move(fallback), at);
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") return Activation::gelu_tanh;
  if (name == "relu") return Activation::relu;
  c.problem(text("'", c.full(key), "' is \"", name, "\", expected silu, gelu, gelu_pytorch_tanh or relu"), at);
  return Activation::silu;
}

}  // namespace tare::blocks
