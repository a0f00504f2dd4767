// What families share: conventions of Hugging Face checkpoints, as free functions over Graph. Weights carry the roles
// of their dimensions, so that a deployment can cut them. Nothing here is known to the core. [loader]
#pragma once
#include <array>
#include <string_view>

#include "core/api/graph.hpp"
#include "models/blocks/fields.hpp"
#include "models/blocks/rope.hpp"

namespace tare::blocks {

struct Heads {
  Dim q, kv;
  int64_t width = 0;  // head_dim
};
// num_attention_heads, num_key_value_heads (default: as many) and head_dim (default: hidden / heads).
Heads heads(const Fields& c, int64_t hidden, Where at = Where::current());

// x: [tokens, hidden] -> q, k, v: [tokens, heads, width], as one product of {q,k,v}_proj.
std::array<Tensor, 3> qkv(const Graph& g, Tensor x, const Heads& heads, Dim hidden, bool bias,
                          Where at = Where::current());
// mixed: [tokens, heads, width] -> [tokens, hidden], summing over heads and width.
Tensor o_proj(const Graph& g, Tensor mixed, const Heads& heads, Dim hidden, bool bias, Where at = Where::current());
// down_proj(activation(gate_proj x) · up_proj x)
Tensor gated_mlp(const Graph& g, Tensor x, int64_t width, Activation activation, Dim hidden, bool bias,
                 Where at = Where::current());
// The RMS norm whose weight is `name`, over `width` values.
Tensor rms_norm(const Graph& g, Tensor x, std::string_view name, Dim width, float eps, float offset = 0,
                Where at = Where::current());
// Rows that give logits -> logits in F32, by the table when `tied`, by lm_head otherwise. Sampling reads the F32
// values: the rounding to BF16 that Transformers does here only loses.
Tensor lm_head(const Graph& g, Tensor x, Weight table, bool tied, Dim vocab, Dim hidden, Where at = Where::current());

}  // namespace tare::blocks
