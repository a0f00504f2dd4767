// Source: Transformers' models/llama and models/mistral.
#include "models/llama/llama.hpp"

#include <cmath>

#include "models/blocks/blocks.hpp"
#include "models/blocks/gguf.hpp"

namespace tare {
namespace {

void text_entry(const Config& c, Graph& g) {
  const int64_t layers = blocks::layer_count(c), ffn = c.count("intermediate_size");
  const Dim hidden = c.count("hidden_size"), vocab{c.count("vocab_size"), Axis::vocab};
  const blocks::Heads heads = blocks::heads(c, hidden.size);
  const auto eps = static_cast<float>(c.number("rms_norm_eps"));
  const Activation act = blocks::activation(c, "hidden_act", "silu");
  const bool attention_bias = c.flag("attention_bias", false), mlp_bias = c.flag("mlp_bias", false);
  // Every layer of Mistral slides, or none; Llama knows no window, whatever its config says.
  const bool slides = c.has("sliding_window") && blocks::is_architecture(c, "MistralForCausalLM");
  const StateKind state = slides ? window(c.count("sliding_window")) : full();

  const Weight table = g.weight("model.embed_tokens.weight", {vocab, hidden});
  const Rotary rope = blocks::rope_table(c, heads.width).rotary(g);
  const Attention attention{.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(heads.width)))};
  Tensor x = g.embed(table);  // [tokens, hidden]
  for (int64_t i = 0; i < layers; ++i) {
    const Graph l = g.layer(i, "model.layers"), a = l.scope("self_attn");
    Tensor h = blocks::rms_norm(l, x, "input_layernorm.weight", hidden, eps);
    auto [q, k, v] = blocks::qkv(a, h, heads, hidden, attention_bias);
    q = a.rotary(q, rope);
    k = a.rotary(k, rope);
    h = a.attention(q, k, v, a.state(state), attention);
    x = l.add(x, blocks::o_proj(a, h, heads, hidden, attention_bias));
    h = blocks::rms_norm(l, x, "post_attention_layernorm.weight", hidden, eps);
    x = l.add(x, blocks::gated_mlp(l.scope("mlp"), h, ffn, act, hidden, mlp_bias));
  }
  x = blocks::rms_norm(g, g.logit_rows(x), "model.norm.weight", hidden, eps);
  g.output("logits", blocks::lm_head(g, x, table, c.flag("tie_word_embeddings", false), vocab, hidden));
}

}  // namespace

ModelFamily llama_family() {
  using enum GgufTensor::Undo;
  // A GGUF of architecture "llama" turns neighbouring values, whoever made it: its q and k rows lie in pairs.
  const GgufMapping gguf{.architecture = "llama",
                         .model_type = "LlamaForCausalLM",
                         .keys = blocks::gguf_keys("llama"),
                         .tensors = blocks::gguf_tensors({.q = pair_rows_q, .k = pair_rows_kv}),
                         .constants = {{"hidden_act", std::string("silu")}}};
  return {.id = "llama",
          .architectures = {"LlamaForCausalLM", "MistralForCausalLM"},
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
                          "mlp_bias",
                          "sliding_window",
                          "tie_word_embeddings",
                          "original_max_position_embeddings",
                          "partial_rotary_factor",
                          "attention_dropout",
                          "pretraining_tp"},
          .gguf = {gguf}};
}

}  // namespace tare
