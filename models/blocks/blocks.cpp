#include "models/blocks/blocks.hpp"

namespace tare::blocks {
namespace {

Product product(const Graph& g, std::string_view name, Shape shape, size_t outputs, bool bias, Where at) {
  Shape of_bias(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(outputs));
  const Weight weight = g.weight(text(name, ".weight"), std::move(shape), {}, at);
  return {weight, bias ? g.weight(text(name, ".bias"), std::move(of_bias), {}, at) : Weight{}};
}

}  // namespace

Heads heads(const Fields& c, int64_t hidden, Where at) {
  const int64_t q = c.count("num_attention_heads", at), kv = c.count_or("num_key_value_heads", q, at);
  int64_t width = 1;
  if (c.has("head_dim")) {
    width = c.count("head_dim", at);
  } else if (hidden % q != 0) {
    c.problem(text("'", c.full("hidden_size"), "' is ", hidden, ", expected a multiple of num_attention_heads = ", q,
                   " where there is no head_dim"),
              at);
  } else {
    width = hidden / q;
  }
  if (q % kv != 0)
    c.problem(
        text("'", c.full("num_key_value_heads"), "' is ", kv, ", expected a divisor of num_attention_heads = ", q), at);
  return {Dim(q, Axis::heads), Dim(kv, Axis::kv_heads), width};
}

std::array<Tensor, 3> qkv(const Graph& g, Tensor x, const Heads& h, Dim hidden, bool bias, Where at) {
  return g.stacked(x,
                   {product(g, "q_proj", {h.q, h.width, hidden}, 2, bias, at),
                    product(g, "k_proj", {h.kv, h.width, hidden}, 2, bias, at),
                    product(g, "v_proj", {h.kv, h.width, hidden}, 2, bias, at)},
                   at);
}

Tensor o_proj(const Graph& g, Tensor mixed, const Heads& h, Dim hidden, bool bias, Where at) {
  return g.linear(mixed, product(g, "o_proj", {hidden, h.q, h.width}, 1, bias, at), at);
}

Tensor gated_mlp(const Graph& g, Tensor x, int64_t width, Activation activation, Dim hidden, bool bias, Where at) {
  const Dim ffn{width, Axis::ffn};
  const auto [gate, up] = g.stacked(
      x, {product(g, "gate_proj", {ffn, hidden}, 1, bias, at), product(g, "up_proj", {ffn, hidden}, 1, bias, at)}, at);
  return g.linear(g.gated(gate, up, activation, at), product(g, "down_proj", {hidden, ffn}, 1, bias, at), at);
}

Tensor rms_norm(const Graph& g, Tensor x, std::string_view name, Dim width, float eps, float offset, Where at) {
  return g.rms_norm(x, g.weight(name, {width}, {}, at), eps, offset, at);
}

Tensor lm_head(const Graph& g, Tensor x, Weight table, bool tied, Dim vocab, Dim hidden, Where at) {
  return g.linear_f32(x, tied ? table : g.weight("lm_head.weight", {vocab, hidden}, {}, at), at);
}

}  // namespace tare::blocks
