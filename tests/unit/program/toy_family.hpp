// A small model with everything that a recorder sees: stacked products, a bias, a state, a tied head, two entries.
#pragma once
#include "core/api/model.hpp"

namespace tare::toy {

inline void text(const Config& c, Graph& g) {
  const Dim hidden = c.count("hidden"), vocab{c.count("vocab"), Axis::vocab};
  const Dim heads{4, Axis::heads}, kv{2, Axis::kv_heads}, ffn{c.count("ffn"), Axis::ffn};
  const Weight table = g.weight("embed.weight", {vocab, hidden});
  const Rotary rope{.frequencies = g.constant({1.0f, 0.1f})};
  Tensor x = g.embed(table);
  for (int64_t i = 0; i < c.count("layers"); ++i) {
    const Graph l = g.layer(i, "layers"), a = l.scope("attn");
    Tensor h = l.rms_norm(x, l.weight("norm.weight", {hidden}), 1e-5f);
    auto [q, k, v] = a.stacked(h, {{a.weight("q.weight", {heads, 4, hidden}), a.weight("q.bias", {heads, 4})},
                                   a.weight("k.weight", {kv, 4, hidden}),
                                   a.weight("v.weight", {kv, 4, hidden})});
    Tensor mixed = a.attention(a.rotary(q, rope), a.rotary(k, rope), v, a.state(i == 0 ? full() : window(16)),
                               Attention{.scale = 0.5f});
    x = l.add(x, a.linear(mixed, {a.weight("o.weight", {hidden, heads, 4}), a.weight("o.bias", {hidden})}));
    auto [gate, up] = l.stacked(x, {l.weight("gate.weight", {ffn, hidden}), l.weight("up.weight", {ffn, hidden})});
    x = l.add(x, l.linear(l.gated(gate, up, Activation::silu), l.weight("down.weight", {hidden, ffn})));
  }
  g.output("hidden", x);
  g.output("logits", g.linear_f32(g.logit_rows(x), table));
}
inline void draft(const Config& c, Graph& g) {
  const Dim hidden = c.count("hidden"), vocab{c.count("vocab"), Axis::vocab};
  Tensor h = g.input("hidden", {{1, Axis::tokens}, hidden});
  Tensor both = g.concat(h, g.embed(g.weight("embed.weight", {vocab, hidden})));
  Tensor x = g.linear(both, g.weight("draft.weight", {hidden, 2 * hidden.size}));
  g.output("logits", g.linear_f32(g.logit_rows(x), g.weight("embed.weight", {vocab, hidden})));
}
inline ModelFamily family() {
  return {.id = "toy",
          .architectures = {"ToyForCausalLM"},
          .entries = {{"text", text}, {"draft", draft}},
          .config_keys = {"hidden", "vocab", "ffn", "layers"},
          .gguf = {}};
}
inline Config config(double layers = 2) {
  return Config({{"hidden", 16.0}, {"vocab", 64.0}, {"ffn", 32.0}, {"layers", layers}});
}

}  // namespace tare::toy
