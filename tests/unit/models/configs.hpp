// config.json of published models, as far as their families read them.
#pragma once
#include <string_view>

namespace tare::configs {

inline constexpr std::string_view kLlama31_8b = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 128256,
  "num_attention_heads": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 500000.0,
  "max_position_embeddings": 131072, "tie_word_embeddings": false, "hidden_act": "silu", "torch_dtype": "bfloat16",
  "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                   "original_max_position_embeddings": 8192, "rope_type": "llama3"}})";

inline constexpr std::string_view kSmolLm2_135m = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536, "vocab_size": 49152,
  "num_attention_heads": 9, "num_key_value_heads": 3, "rms_norm_eps": 1e-05, "rope_theta": 100000,
  "max_position_embeddings": 8192, "tie_word_embeddings": true, "hidden_act": "silu", "rope_scaling": null})";

inline constexpr std::string_view kMistral7bV01 = R"({"architectures": ["MistralForCausalLM"], "model_type": "mistral",
  "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 32000,
  "num_attention_heads": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
  "max_position_embeddings": 32768, "sliding_window": 4096, "tie_word_embeddings": false, "hidden_act": "silu"})";

inline constexpr std::string_view kQwen3_8b = R"({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
  "num_hidden_layers": 36, "hidden_size": 4096, "intermediate_size": 12288, "vocab_size": 151936,
  "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "rms_norm_eps": 1e-06, "rope_theta": 1000000,
  "max_position_embeddings": 40960, "max_window_layers": 36, "use_sliding_window": false, "sliding_window": null,
  "attention_bias": false, "tie_word_embeddings": false, "hidden_act": "silu", "rope_scaling": null})";

inline constexpr std::string_view kQwen25_05b = R"({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
  "num_hidden_layers": 24, "hidden_size": 896, "intermediate_size": 4864, "vocab_size": 151936,
  "num_attention_heads": 14, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
  "max_position_embeddings": 32768, "max_window_layers": 21, "use_sliding_window": false, "sliding_window": 32768,
  "tie_word_embeddings": true, "hidden_act": "silu"})";

// google/gemma-3-4b-it leaves most of its text model to Gemma3TextConfig's defaults.
inline constexpr std::string_view kGemma3_4b = R"({"architectures": ["Gemma3ForConditionalGeneration"],
  "model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "num_hidden_layers": 34, "hidden_size": 2560,
  "intermediate_size": 10240, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
  "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27}, "mm_tokens_per_image": 256})";

inline constexpr std::string_view kGemma2_2b = R"({"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2",
  "num_hidden_layers": 26, "hidden_size": 2304, "intermediate_size": 9216, "vocab_size": 256000,
  "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
  "max_position_embeddings": 8192, "sliding_window": 4096, "attn_logit_softcapping": 50.0,
  "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 256, "hidden_act": "gelu_pytorch_tanh",
  "hidden_activation": "gelu_pytorch_tanh"})";

}  // namespace tare::configs
