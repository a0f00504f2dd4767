#include "core/app/product_shapes.hpp"

#include <numeric>

#include "core/synth/shape.hpp"

namespace tare {
namespace {

struct Listed {
  std::string_view name;
  std::vector<ShapeProduct> products;
};
const std::vector<Listed>& listed() {
  static const std::vector<Listed> table{
      // meta-llama/Llama-4-Scout-17B-16E: 5120 wide, 40 heads and 8 of keys of 128, shared expert of 8192. Its routed
      // experts are products of another kind.
      {"llama-4-scout",
       {{"qkv", {5120, 1024, 1024}, 5120, false},
        {"o", {5120}, 5120, false},
        {"shared_gate_up", {8192, 8192}, 5120, false},
        {"shared_down", {5120}, 8192, false},
        {"lm_head", {202048}, 5120, true}}},
      // moonshotai/Kimi-K2-Instruct: 7168 wide, 64 heads; queries through 1536, keys and values through 512 (and 64 of
      // position), 128 + 64 a head of keys, 128 of values; shared expert of 2048, the first layer dense with 18432.
      {"kimi-k2",
       {{"q_a", {1536}, 7168, false},
        {"kv_a", {576}, 7168, false},
        {"q_b", {12288}, 1536, false},
        {"kv_b", {16384}, 512, false},
        {"o", {7168}, 8192, false},
        {"shared_gate_up", {2048, 2048}, 7168, false},
        {"shared_down", {7168}, 2048, false},
        {"lm_head", {163840}, 7168, true}}},
  };
  return table;
}

}  // namespace

bool is_listed_shape(std::string_view shape) noexcept {
  for (const Listed& l : listed())
    if (l.name == shape) return true;
  return false;
}

Result<std::vector<ShapeProduct>> products_of_shape(std::string_view shape) {
  std::string names;
  for (const Listed& l : listed()) {
    if (l.name == shape) return l.products;
    names += ", " + std::string(l.name);
  }
  const auto found = synth::find_shape(shape);
  if (!found.ok()) return failure(Code::not_found, found.status().message(), names);
  const synth::Shape& s = *found;
  const int64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  return std::vector<ShapeProduct>{{"qkv", {q, kv, kv}, s.hidden, false},
                                   {"o", {s.hidden}, q, false},
                                   {"gate_up", {s.ffn, s.ffn}, s.hidden, false},
                                   {"down", {s.hidden}, s.ffn, false},
                                   {"lm_head", {s.vocab}, s.hidden, true}};
}

std::vector<LayerProduct> layer_products(const std::vector<ShapeProduct>& products) {
  std::vector<LayerProduct> out;
  for (const ShapeProduct& p : products)
    out.push_back({p.name, std::accumulate(p.outputs.begin(), p.outputs.end(), int64_t{0}), p.inputs, !p.logits});
  return out;
}

}  // namespace tare
