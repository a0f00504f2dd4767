// Source: Transformers' models/qwen2 and models/qwen3.
#include "models/qwen/qwen.hpp"

#include <cmath>

#include "models/blocks/blocks.hpp"
#include "models/blocks/gguf.hpp"

namespace tare {
namespace {

// Layers from max_window_layers on slide, where the window is switched on.
bool slides(const blocks::Fields& c, int64_t layer) {
  return c.flag("use_sliding_window", false) && c.has("sliding_window") &&
         static_cast<double>(layer) >= c.get("max_window_layers", 28);
}

void text_entry(const Config& c, Graph& g) {
  const bool qwen3 = blocks::is_architecture(c, "Qwen3ForCausalLM");
  const int64_t layers = blocks::layer_count(c), ffn = c.count("intermediate_size");
  const Dim hidden = c.count("hidden_size"), vocab{c.count("vocab_size"), Axis::vocab};
  const blocks::Heads heads = blocks::heads(c, hidden.size);
  const auto eps = static_cast<float>(c.number("rms_norm_eps"));
  const Activation act = blocks::activation(c, "hidden_act", "silu");
  // Qwen2 has biases on q, k and v, always; Qwen3 has none, or on all four where its config says so.
  const bool o_bias = qwen3 && c.flag("attention_bias", false), qkv_bias = !qwen3 || o_bias;
  const std::vector<bool> sliding = blocks::sliding_layers(c, layers, slides);

  const Weight table = g.weight("model.embed_tokens.weight", {vocab, hidden});
  const Rotary rope = blocks::rope_table(c, heads.width).rotary(g);
  const Attention attention{.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(heads.width)))};
  Tensor x = g.embed(table);  // [tokens, hidden]
  for (int64_t i = 0; i < layers; ++i) {
    const Graph l = g.layer(i, "model.layers"), a = l.scope("self_attn");
    Tensor h = blocks::rms_norm(l, x, "input_layernorm.weight", hidden, eps);
    auto [q, k, v] = blocks::qkv(a, h, heads, hidden, qkv_bias);
    if (qwen3) {  // one weight for all heads, before the rotation
      q = blocks::rms_norm(a, q, "q_norm.weight", heads.width, eps);
      k = blocks::rms_norm(a, k, "k_norm.weight", heads.width, eps);
    }
    const StateKind state = sliding[static_cast<size_t>(i)] ? window(c.count("sliding_window")) : full();
    q = a.rotary(q, rope);
    k = a.rotary(k, rope);
    h = a.attention(q, k, v, a.state(state), attention);
    x = l.add(x, blocks::o_proj(a, h, heads, hidden, o_bias));
    h = blocks::rms_norm(l, x, "post_attention_layernorm.weight", hidden, eps);
    x = l.add(x, blocks::gated_mlp(l.scope("mlp"), h, ffn, act, hidden, false));
  }
  x = blocks::rms_norm(g, g.logit_rows(x), "model.norm.weight", hidden, eps);
  g.output("logits", blocks::lm_head(g, x, table, c.flag("tie_word_embeddings", false), vocab, hidden));
}

GgufMapping mapping(std::string architecture, std::string model_type, bool qk_norms) {
  GgufMapping out;
  out.keys = blocks::gguf_keys(architecture);
  out.tensors = blocks::gguf_tensors({.qk_norms = qk_norms});
  out.constants = {{"hidden_act", std::string("silu")}};
  out.architecture = std::move(architecture);
  out.model_type = std::move(model_type);
  return out;
}

}  // namespace

ModelFamily qwen_family() {
  return {.id = "qwen",
          .architectures = {"Qwen2ForCausalLM", "Qwen3ForCausalLM"},
          .entries = {{"text", text_entry}},
          .config_keys = {"vocab_size",
                          "hidden_size",
                          "intermediate_size",
                          "num_hidden_layers",
                          "num_attention_heads",
                          "num_key_value_heads",
                          "head_dim",
                          "hidden_act",
                          "max_position_embeddings",
                          "rms_norm_eps",
                          "rope_theta",
                          "rope_scaling",
                          "rope_parameters",
                          "attention_bias",
                          "use_sliding_window",
                          "sliding_window",
                          "max_window_layers",
                          "layer_types",
                          "tie_word_embeddings",
                          "original_max_position_embeddings",
                          "partial_rotary_factor",
                          "attention_dropout"},
          .gguf = {mapping("qwen2", "Qwen2ForCausalLM", false), mapping("qwen3", "Qwen3ForCausalLM", true)}};
}

}  // namespace tare
