// Source: Transformers' models/gemma2 and models/gemma3. What a Gemma 3 config leaves out (the published ones leave out
// most) has the defaults of Gemma3TextConfig.
#include "models/gemma/gemma.hpp"

#include <cmath>

#include "models/blocks/blocks.hpp"
#include "models/blocks/gguf.hpp"

namespace tare {
namespace {

using blocks::Fields;

bool slides_gemma2(const Fields&, int64_t layer) { return layer % 2 == 0; }
bool slides_gemma3(const Fields& c, int64_t layer) {
  return (layer + 1) % c.count_or("sliding_window_pattern", 6) != 0;
}

// Scores are divided by the root of this, not of head_dim. A GGUF does not carry it: llama.cpp takes hidden / heads for
// the 27B models, which it knows by their number of layers, and head_dim for all others.
double query_scalar(const Fields& c, const blocks::Heads& heads, int64_t hidden, int64_t layers, bool gemma3) {
  if (!c.has("gguf_architecture")) return c.get("query_pre_attn_scalar", 256);
  const bool is_27b = layers == (gemma3 ? 62 : 46);
  return static_cast<double>(is_27b ? hidden / heads.q.size : heads.width);
}

void text_entry(const Config& config, Graph& g) {
  // Gemma 3 with images keeps its text model's numbers in a group and its weights under a prefix.
  const bool inside = blocks::is_architecture(config, "Gemma3ForConditionalGeneration");
  const bool gemma3 = inside || blocks::is_architecture(config, "Gemma3ForCausalLM");
  const Fields c(config, inside ? "text_config." : "");
  const Graph m = inside ? g.scope("language_model.model") : g.scope("model");
  const auto count = [&](std::string_view key, int64_t of_gemma3, Where at = Where::current()) {
    return gemma3 ? c.count_or(key, of_gemma3, at) : c.count(key, at);
  };
  const int64_t layers = blocks::layer_count(c), ffn = count("intermediate_size", 9216);
  const Dim hidden = count("hidden_size", 2304), vocab{count("vocab_size", 262208), Axis::vocab};
  const blocks::Heads heads{.q = Dim(count("num_attention_heads", 8), Axis::heads),
                            .kv = Dim(count("num_key_value_heads", 4), Axis::kv_heads),
                            .width = count("head_dim", 256)};
  const auto eps = static_cast<float>(gemma3 ? c.get("rms_norm_eps", 1e-6) : c.number("rms_norm_eps"));
  const int64_t window_tokens = count("sliding_window", 4096);
  const Activation act = blocks::activation(c, "hidden_activation", "gelu_pytorch_tanh");
  const bool bias = c.flag("attention_bias", false);
  const bool tied = c.flag("tie_word_embeddings", config.flag("tie_word_embeddings", true));
  if (c.flag("use_bidirectional_attention", false))
    c.problem("'use_bidirectional_attention' is true, expected false: only causal text models are known");

  const double scalar = query_scalar(c, heads, hidden.size, layers, gemma3);
  const Attention attention{.scale = static_cast<float>(1 / std::sqrt(scalar)),
                            .soft_cap = static_cast<float>(c.get("attn_logit_softcapping", 0))};
  const auto final_cap = static_cast<float>(c.get("final_logit_softcapping", 0));
  // Gemma 3 has two tables; only the one of full layers is stretched.
  const Rotary global =
      blocks::rope_table(c, heads.width, {.layer_type = "full_attention", .theta = gemma3 ? 1e6 : 1e4}).rotary(g);
  const Rotary local =
      !gemma3
          ? global
          : blocks::rope_table(
                c, heads.width,
                {.layer_type = "sliding_attention", .theta_key = "rope_local_base_freq", .theta = 1e4, .scaled = false})
                .rotary(g);
  const std::vector<bool> sliding = blocks::sliding_layers(c, layers, gemma3 ? slides_gemma3 : slides_gemma2);
  const auto norm = [&](const Graph& at, Tensor x, std::string_view name, Dim width, Where where = Where::current()) {
    return blocks::rms_norm(at, x, text(name, ".weight"), width, eps, 1, where);  // times 1 + weight
  };

  const Weight table = m.weight("embed_tokens.weight", {vocab, hidden});
  Tensor x = g.scale(g.embed(table), static_cast<float>(std::sqrt(static_cast<double>(hidden.size))));
  for (int64_t i = 0; i < layers; ++i) {
    const Graph l = m.layer(i, "layers"), a = l.scope("self_attn");
    const bool slides = sliding[static_cast<size_t>(i)];
    Tensor h = norm(l, x, "input_layernorm", hidden);
    auto [q, k, v] = blocks::qkv(a, h, heads, hidden, bias);
    if (gemma3) q = norm(a, q, "q_norm", heads.width), k = norm(a, k, "k_norm", heads.width);
    const Rotary& rope = slides ? local : global;
    q = a.rotary(q, rope);
    k = a.rotary(k, rope);
    h = a.attention(q, k, v, a.state(slides ? window(window_tokens) : full()), attention);
    x = l.add(x, norm(l, blocks::o_proj(a, h, heads, hidden, bias), "post_attention_layernorm", hidden));
    h = norm(l, x, "pre_feedforward_layernorm", hidden);
    h = blocks::gated_mlp(l.scope("mlp"), h, ffn, act, hidden, false);
    x = l.add(x, norm(l, h, "post_feedforward_layernorm", hidden));
  }
  x = norm(m, g.logit_rows(x), "norm", hidden);
  const Tensor logits = blocks::lm_head(inside ? g.scope("language_model") : g, x, table, tied, vocab, hidden);
  g.output("logits", final_cap > 0 ? g.soft_cap(logits, final_cap) : logits);
}

GgufMapping mapping(std::string architecture, std::string model_type, bool qk_norms) {
  GgufMapping out;
  out.keys = blocks::gguf_keys(architecture);
  out.tensors = blocks::gguf_tensors({.norms = GgufTensor::Undo::minus_one, .qk_norms = qk_norms, .four_norms = true});
  out.constants = {{"hidden_activation", std::string("gelu_pytorch_tanh")}, {"gguf_architecture", architecture}};
  out.architecture = std::move(architecture);
  out.model_type = std::move(model_type);
  return out;
}

}  // namespace

ModelFamily gemma_family() {
  return {.id = "gemma",
          .architectures = {"Gemma2ForCausalLM", "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"},
          .entries = {{"text", text_entry}},
          .config_keys = {"vocab_size",
                          "hidden_size",
                          "intermediate_size",
                          "num_hidden_layers",
                          "num_attention_heads",
                          "num_key_value_heads",
                          "head_dim",
                          "hidden_act",
                          "hidden_activation",
                          "max_position_embeddings",
                          "rms_norm_eps",
                          "rope_theta",
                          "rope_local_base_freq",
                          "rope_scaling",
                          "rope_parameters",
                          "attention_bias",
                          "attn_logit_softcapping",
                          "final_logit_softcapping",
                          "query_pre_attn_scalar",
                          "sliding_window",
                          "sliding_window_pattern",
                          "layer_types",
                          "use_bidirectional_attention",
                          "tie_word_embeddings",
                          "text_config",
                          "vision_config",
                          "cache_implementation",
                          "attention_dropout",
                          "boi_token_index",
                          "eoi_token_index",
                          "image_token_index",
                          "mm_tokens_per_image",
                          "original_max_position_embeddings",
                          "partial_rotary_factor"},
          .gguf = {mapping("gemma2", "Gemma2ForCausalLM", false), mapping("gemma3", "Gemma3ForCausalLM", true)}};
}

}  // namespace tare
