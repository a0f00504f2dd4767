// The shapes of known models as data, and what follows from a shape: its tensors. Plain values; [any thread].
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare::synth {

enum class Family : uint8_t { llama, mistral, qwen3 };

// Figures as in the model's own config.json.
struct Shape {
  std::string_view name;
  Family family = Family::llama;
  int64_t hidden = 0, ffn = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab = 0;
  bool tied = false;
  double rope_theta = 10000, rope_factor = 0;  // factor 0: no scaling; else the llama3 rule over 8192 positions
  double eps = 1e-5;
  int64_t positions = 8192;
  int64_t bos = 1, eos = 2;
  std::string_view source;  // where the figures are from
};

std::span<const Shape> shapes() noexcept;
// Not found: names the nearest, and all.
Result<Shape> find_shape(std::string_view name);

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
  int64_t rows() const noexcept { return shape[0]; }
  int64_t columns() const noexcept { return shape.size() > 1 ? shape[1] : 1; }
  int64_t elements() const noexcept { return rows() * columns(); }
  bool is_matrix() const noexcept { return shape.size() == 2; }
};
// In the order in which a model uses them.
std::vector<Tensor> tensors_of(const Shape& shape);
// The two matrices whose exponents are spread far, as trained models have some: gate_proj of layers 1 and 2 (as in
// Qwen3-8B), or, where those would be more than 2 % of the model, q_proj or k_proj (as in Granite's attention).
std::vector<std::string> outlier_tensors(const Shape& shape);

}  // namespace tare::synth
