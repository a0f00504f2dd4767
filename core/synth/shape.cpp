#include "core/synth/shape.hpp"

#include <array>

#include "core/base/nearest.hpp"

namespace tare::synth {
namespace {

constexpr std::array kShapes{
    Shape{"llama-3.1-8b", Family::llama, 4096, 14336, 32, 32, 8, 128, 128256, false, 5e5, 8, 1e-5, 131072, 128000,
          128001, "meta-llama/Llama-3.1-8B"},
    Shape{"llama-3.1-70b", Family::llama, 8192, 28672, 80, 64, 8, 128, 128256, false, 5e5, 8, 1e-5, 131072, 128000,
          128001, "meta-llama/Llama-3.1-70B"},
    Shape{"llama-3.2-1b", Family::llama, 2048, 8192, 16, 32, 8, 64, 128256, true, 5e5, 32, 1e-5, 131072, 128000, 128001,
          "meta-llama/Llama-3.2-1B"},
    Shape{"llama-3.2-3b", Family::llama, 3072, 8192, 28, 24, 8, 128, 128256, true, 5e5, 32, 1e-5, 131072, 128000,
          128001, "meta-llama/Llama-3.2-3B"},
    Shape{"mistral-7b", Family::mistral, 4096, 14336, 32, 32, 8, 128, 32768, false, 1e6, 0, 1e-5, 32768, 1, 2,
          "mistralai/Mistral-7B-v0.3"},
    Shape{"qwen3-0.6b", Family::qwen3, 1024, 3072, 28, 16, 8, 128, 151936, true, 1e6, 0, 1e-6, 40960, 151643, 151645,
          "Qwen/Qwen3-0.6B"},
    Shape{"qwen3-4b", Family::qwen3, 2560, 9728, 36, 32, 8, 128, 151936, true, 1e6, 0, 1e-6, 40960, 151643, 151645,
          "Qwen/Qwen3-4B"},
    Shape{"qwen3-8b", Family::qwen3, 4096, 12288, 36, 32, 8, 128, 151936, false, 1e6, 0, 1e-6, 40960, 151643, 151645,
          "Qwen/Qwen3-8B"},
    Shape{"qwen3-32b", Family::qwen3, 5120, 25600, 64, 64, 8, 128, 151936, false, 1e6, 0, 1e-6, 40960, 151643, 151645,
          "Qwen/Qwen3-32B"},
    Shape{"smollm2-135m", Family::llama, 576, 1536, 30, 9, 3, 64, 49152, true, 1e5, 0, 1e-5, 8192, 1, 2,
          "HuggingFaceTB/SmolLM2-135M"},
    // For tests: small, and large enough for the statistics to hold.
    Shape{"tiny-llama", Family::llama, 256, 704, 4, 4, 1, 64, 4096, true, 1e4, 0, 1e-5, 2048, 1, 2, "for tests"},
    Shape{"tiny-mistral", Family::mistral, 256, 704, 4, 4, 1, 64, 4096, false, 1e6, 0, 1e-5, 2048, 1, 2, "for tests"},
    Shape{"tiny-qwen3", Family::qwen3, 256, 704, 4, 4, 1, 64, 4096, false, 1e6, 0, 1e-6, 2048, 4000, 4001, "for tests"},
};

std::string layer_prefix(int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

}  // namespace

std::span<const Shape> shapes() noexcept { return kShapes; }

Result<Shape> find_shape(std::string_view name) {
  std::vector<std::string> names;
  std::string all;
  for (const Shape& shape : kShapes) {
    if (shape.name == name) return shape;
    names.emplace_back(shape.name);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  const std::string near = nearest_name(name, names);
  return failure(Code::not_found, "no shape '", name, "'", near.empty() ? "" : ", did you mean '" + near + "'?",
                 near.empty() ? ";" : "", " known: ", all);
}

std::vector<Tensor> tensors_of(const Shape& s) {
  std::vector<Tensor> out{{"model.embed_tokens.weight", {s.vocab, s.hidden}}};
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string layer = layer_prefix(i);
    const int64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
    out.push_back({layer + "input_layernorm.weight", {s.hidden}});
    out.push_back({layer + "self_attn.q_proj.weight", {q, s.hidden}});
    out.push_back({layer + "self_attn.k_proj.weight", {kv, s.hidden}});
    out.push_back({layer + "self_attn.v_proj.weight", {kv, s.hidden}});
    out.push_back({layer + "self_attn.o_proj.weight", {s.hidden, q}});
    if (s.family == Family::qwen3)
      for (const char* norm : {"self_attn.q_norm.weight", "self_attn.k_norm.weight"})
        out.push_back({layer + norm, {s.head_dim}});
    out.push_back({layer + "post_attention_layernorm.weight", {s.hidden}});
    out.push_back({layer + "mlp.gate_proj.weight", {s.ffn, s.hidden}});
    out.push_back({layer + "mlp.up_proj.weight", {s.ffn, s.hidden}});
    out.push_back({layer + "mlp.down_proj.weight", {s.hidden, s.ffn}});
  }
  out.push_back({"model.norm.weight", {s.hidden}});
  if (!s.tied) out.push_back({"lm_head.weight", {s.vocab, s.hidden}});
  return out;
}

std::vector<std::string> outlier_tensors(const Shape& s) {
  int64_t matrices = 0;
  for (const Tensor& t : tensors_of(s))
    if (t.is_matrix()) matrices += t.elements();
  const std::array<std::pair<const char*, int64_t>, 3> kinds{
      {{"mlp.gate_proj.weight", s.ffn * s.hidden},
       {"self_attn.q_proj.weight", s.heads * s.head_dim * s.hidden},
       {"self_attn.k_proj.weight", s.kv_heads * s.head_dim * s.hidden}}};
  const char* kind = kinds.back().first;
  for (const auto& [name, elements] : kinds)
    if (2 * elements * 50 <= matrices) {
      kind = name;
      break;
    }
  if (s.layers == 1) return {layer_prefix(0) + "self_attn.k_proj.weight", layer_prefix(0) + "self_attn.v_proj.weight"};
  const int64_t first = s.layers == 2 ? 0 : 1;
  return {layer_prefix(first) + kind, layer_prefix(first + 1) + kind};
}

}  // namespace tare::synth
