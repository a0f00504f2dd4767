#include "models/blocks/gguf.hpp"

namespace tare::blocks {

std::vector<GgufKey> gguf_keys(std::string_view architecture) {
  constexpr std::pair<std::string_view, std::string_view> kKeys[] = {
      {"block_count", "num_hidden_layers"},
      {"context_length", "max_position_embeddings"},
      {"embedding_length", "hidden_size"},
      {"feed_forward_length", "intermediate_size"},
      {"vocab_size", "vocab_size"},
      {"attention.head_count", "num_attention_heads"},
      {"attention.head_count_kv", "num_key_value_heads"},
      {"attention.key_length", "head_dim"},
      {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
      {"attention.sliding_window", "sliding_window"},
      {"attention.sliding_window_pattern", "sliding_window_pattern"},
      {"attn_logit_softcapping", "attn_logit_softcapping"},
      {"final_logit_softcapping", "final_logit_softcapping"},
      {"rope.dimension_count", "gguf_rope_dimension_count"},
      {"rope.freq_base", "rope_theta"},
      {"rope.freq_base_swa", "rope_local_base_freq"},
      {"rope.scaling.type", "rope_scaling.rope_type"},
      {"rope.scaling.factor", "rope_scaling.factor"},
      {"rope.scaling.original_context_length", "rope_scaling.original_max_position_embeddings"},
      {"rope.scaling.yarn_beta_fast", "rope_scaling.beta_fast"},
      {"rope.scaling.yarn_beta_slow", "rope_scaling.beta_slow"},
  };
  std::vector<GgufKey> out;
  for (const auto& [gguf, config] : kKeys) out.push_back({text(architecture, ".", gguf), std::string(config)});
  return out;
}

std::vector<GgufTensor> gguf_tensors(const GgufTensorOptions& options) {
  using enum GgufTensor::Undo;
  std::vector<GgufTensor> out;
  const auto in_layer = [&](std::string_view gguf, std::string_view checkpoint, GgufTensor::Undo undo, bool bias) {
    out.push_back({text("blk.*.", gguf, ".weight"), text("model.layers.*.", checkpoint, ".weight"), undo});
    if (bias) out.push_back({text("blk.*.", gguf, ".bias"), text("model.layers.*.", checkpoint, ".bias"), undo});
  };
  out.push_back({"token_embd.weight", "model.embed_tokens.weight", none});
  out.push_back({"output_norm.weight", "model.norm.weight", options.norms});
  out.push_back({"output.weight", "lm_head.weight", none});
  in_layer("attn_q", "self_attn.q_proj", options.q, true);
  in_layer("attn_k", "self_attn.k_proj", options.k, true);
  in_layer("attn_v", "self_attn.v_proj", none, true);
  in_layer("attn_output", "self_attn.o_proj", none, true);
  in_layer("ffn_gate", "mlp.gate_proj", none, true);
  in_layer("ffn_up", "mlp.up_proj", none, true);
  in_layer("ffn_down", "mlp.down_proj", none, true);
  in_layer("attn_norm", "input_layernorm", options.norms, false);
  if (options.four_norms) {
    in_layer("post_attention_norm", "post_attention_layernorm", options.norms, false);
    in_layer("ffn_norm", "pre_feedforward_layernorm", options.norms, false);
    in_layer("post_ffw_norm", "post_feedforward_layernorm", options.norms, false);
  } else {
    in_layer("ffn_norm", "post_attention_layernorm", options.norms, false);
  }
  if (options.qk_norms) {
    in_layer("attn_q_norm", "self_attn.q_norm", options.norms, false);
    in_layer("attn_k_norm", "self_attn.k_norm", options.norms, false);
  }
  return out;
}

}  // namespace tare::blocks
