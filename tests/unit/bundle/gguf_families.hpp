// GGUF mappings for the golden twins, as the model plugins bring them.
#pragma once
#include "core/api/model.hpp"

namespace tare::testing {

inline GgufMapping decoder_mapping(std::string architecture, std::string model_type, GgufTensor::Undo q,
                                   GgufTensor::Undo kv, GgufTensor::Undo norm, bool four_norms) {
  GgufMapping m{
      .architecture = architecture, .model_type = std::move(model_type), .keys = {}, .tensors = {}, .constants = {}};
  for (const auto& [gguf, config] : {std::pair("block_count", "num_hidden_layers"),
                                     {"context_length", "max_position_embeddings"},
                                     {"embedding_length", "hidden_size"},
                                     {"feed_forward_length", "intermediate_size"},
                                     {"attention.head_count", "num_attention_heads"},
                                     {"attention.head_count_kv", "num_key_value_heads"},
                                     {"attention.key_length", "head_dim"},
                                     {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
                                     {"rope.freq_base", "rope_theta"},
                                     {"rope.scaling.type", "rope_scaling.rope_type"},
                                     {"rope.scaling.factor", "rope_scaling.factor"}})
    m.keys.push_back({architecture + "." + gguf, config});
  const std::string from = "blk.*.", to = "model.layers.*.";
  const auto none = GgufTensor::Undo::none;
  m.tensors = {{"token_embd.weight", "model.embed_tokens.weight", none},
               {"output.weight", "lm_head.weight", none},
               {"output_norm.weight", "model.norm.weight", norm},
               {from + "attn_norm.weight", to + "input_layernorm.weight", norm},
               {from + "attn_q.weight", to + "self_attn.q_proj.weight", q},
               {from + "attn_k.weight", to + "self_attn.k_proj.weight", kv},
               {from + "attn_v.weight", to + "self_attn.v_proj.weight", none},
               {from + "attn_q.bias", to + "self_attn.q_proj.bias", q},
               {from + "attn_k.bias", to + "self_attn.k_proj.bias", kv},
               {from + "attn_v.bias", to + "self_attn.v_proj.bias", none},
               {from + "attn_q_norm.weight", to + "self_attn.q_norm.weight", norm},
               {from + "attn_k_norm.weight", to + "self_attn.k_norm.weight", norm},
               {from + "attn_output.weight", to + "self_attn.o_proj.weight", none},
               {from + "ffn_gate.weight", to + "mlp.gate_proj.weight", none},
               {from + "ffn_up.weight", to + "mlp.up_proj.weight", none},
               {from + "ffn_down.weight", to + "mlp.down_proj.weight", none}};
  if (four_norms) {
    m.tensors.push_back({from + "post_attention_norm.weight", to + "post_attention_layernorm.weight", norm});
    m.tensors.push_back({from + "ffn_norm.weight", to + "pre_feedforward_layernorm.weight", norm});
    m.tensors.push_back({from + "post_ffw_norm.weight", to + "post_feedforward_layernorm.weight", norm});
  } else {
    m.tensors.push_back({from + "ffn_norm.weight", to + "post_attention_layernorm.weight", norm});
  }
  return m;
}
inline ModelFamily golden_family() {
  using Undo = GgufTensor::Undo;
  ModelFamily family{.id = "golden", .architectures = {}, .entries = {}, .config_keys = {}, .gguf = {}};
  family.gguf = {
      decoder_mapping("llama", "LlamaForCausalLM", Undo::pair_rows_q, Undo::pair_rows_kv, Undo::none, false),
      decoder_mapping("qwen2", "Qwen2ForCausalLM", Undo::none, Undo::none, Undo::none, false),
      decoder_mapping("qwen3", "Qwen3ForCausalLM", Undo::none, Undo::none, Undo::none, false),
      decoder_mapping("gemma2", "Gemma2ForCausalLM", Undo::none, Undo::none, Undo::minus_one, true),
      decoder_mapping("gemma3", "Gemma3ForCausalLM", Undo::none, Undo::none, Undo::minus_one, true),
  };
  return family;
}

}  // namespace tare::testing
