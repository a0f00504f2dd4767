#include "core/synth/files.hpp"

#include <charconv>

#include "core/base/printable.hpp"

namespace tare::synth {
namespace {

std::string plain(double value) {
  char out[64];
  return {out, std::to_chars(out, out + sizeof out, value).ptr};
}

struct Names {
  std::string_view bos, eos;
};
Names special_names(const Shape& shape) {
  if (shape.bos == 128000) return {"<|begin_of_text|>", "<|end_of_text|>"};
  if (shape.family == Family::qwen3) return {"<|endoftext|>", "<|im_end|>"};
  return {"<s>", "</s>"};
}

std::string utf8(uint32_t letter) {  // below 0x800
  if (letter < 0x80) return {static_cast<char>(letter)};
  return {static_cast<char>(0xc0 | letter >> 6), static_cast<char>(0x80 | (letter & 63))};
}
// The alphabet of byte-level BPE (GPT-2's encoder.py, bytes_to_unicode): visible Latin-1 letters stand for themselves.
std::vector<std::string> byte_letters() {
  const auto visible = [](uint32_t b) { return (b >= 33 && b < 127) || (b >= 161 && b < 256 && b != 173); };
  std::vector<std::string> out;
  for (uint32_t b = 0; b < 256; ++b)
    if (visible(b)) out.push_back(utf8(b));
  for (uint32_t i = 0, b = 0; b < 256; ++b)
    if (!visible(b)) out.push_back(utf8(256 + i++));
  return out;
}

}  // namespace

std::string config_json(const Shape& s) {
  struct Model {
    std::string_view architecture, type;
  };
  const Model model = s.family == Family::qwen3     ? Model{"Qwen3ForCausalLM", "qwen3"}
                      : s.family == Family::mistral ? Model{"MistralForCausalLM", "mistral"}
                                                    : Model{"LlamaForCausalLM", "llama"};
  std::string scaling;
  if (s.rope_factor > 0)
    scaling = text("  \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": ", plain(s.rope_factor),
                   ", \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": "
                   "8192},\n");
  return text("{\n  \"architectures\": [\"", model.architecture, "\"],\n  \"model_type\": \"", model.type,
              "\",\n  \"vocab_size\": ", s.vocab, ",\n  \"hidden_size\": ", s.hidden,
              ",\n  \"intermediate_size\": ", s.ffn, ",\n  \"num_hidden_layers\": ", s.layers,
              ",\n  \"num_attention_heads\": ", s.heads, ",\n  \"num_key_value_heads\": ", s.kv_heads,
              ",\n  \"head_dim\": ", s.head_dim,
              ",\n  \"hidden_act\": \"silu\",\n  \"max_position_embeddings\": ", s.positions,
              ",\n  \"rms_norm_eps\": ", plain(s.eps), ",\n  \"rope_theta\": ", plain(s.rope_theta), ",\n", scaling,
              "  \"tie_word_embeddings\": ", s.tied ? "true" : "false", ",\n  \"attention_bias\": false,\n",
              s.family == Family::llama ? "  \"mlp_bias\": false,\n" : "", "  \"bos_token_id\": ", s.bos,
              ",\n  \"eos_token_id\": ", s.eos, ",\n  \"torch_dtype\": \"bfloat16\"\n}\n");
}

std::string generation_config_json(const Shape& s) {
  return text("{\n  \"bos_token_id\": ", s.bos, ",\n  \"eos_token_id\": ", s.eos, "\n}\n");
}

std::string tokenizer_json(const Shape& s) {
  const Names names = special_names(s);
  std::vector<std::string> own = byte_letters();
  own.push_back("\u0120t");  // " t", the merge
  std::string vocab;
  size_t next = 0;
  for (int64_t id = 0; id < s.vocab; ++id) {
    if (id == s.bos || id == s.eos) continue;
    const std::string token = next < own.size() ? own[next++] : "<|filler_" + std::to_string(id) + "|>";
    vocab += (vocab.empty() ? "" : ",\n") + json_string(token) + ":" + std::to_string(id);
  }
  const auto special = [](int64_t id, std::string_view name) {
    return text("{\"id\":", id, ",\"content\":\"", name, "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,",
                "\"normalized\":false,\"special\":true}");
  };
  const std::string byte_level =
      "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}";
  const bool bos_first = s.bos < s.eos;  // added tokens go in order of id
  return text("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n\"added_tokens\":[",
              bos_first ? special(s.bos, names.bos) : special(s.eos, names.eos), ",\n",
              bos_first ? special(s.eos, names.eos) : special(s.bos, names.bos),
              "],\n\"normalizer\":null,\"pre_tokenizer\":", byte_level,
              ",\n\"post_processor\":null,\"decoder\":", byte_level,
              ",\n\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
              "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\n\"vocab\":{",
              vocab, "},\n\"merges\":[\"\u0120 t\"]}}\n");
}

std::string tokenizer_config_json(const Shape& s) {
  const Names names = special_names(s);
  return text("{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"bos_token\": \"", names.bos,
              "\",\n  \"eos_token\": \"", names.eos, "\",\n  \"model_max_length\": ", s.positions,
              ",\n  \"chat_template\": \"{% for message in messages %}{{ message['role'] }}: {{ message['content'] "
              "}}\\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}\"\n}\n");
}

std::string record_json(const Shape& s, uint64_t seed, const Statistics& found) {
  std::string wide;
  for (const std::string& name : found.wide) wide += (wide.empty() ? "" : ", ") + json_string(name);
  return text(
      "{\n  \"note\": \"random weights with the statistics of trained ones; made by tare synth\",\n  \"shape\": ",
      json_string(s.name), ",\n  \"shape_from\": ", json_string(s.source), ",\n  \"layers\": ", s.layers,
      ",\n  \"seed\": ", seed, ",\n  \"exponent_entropy_bits\": ", plain(found.entropy),
      ",\n  \"share_outside_best_7\": ", plain(found.outside_7),
      ",\n  \"share_outside_best_15\": ", plain(found.outside_15), ",\n  \"outlier_tensors\": [", wide, "]\n}\n");
}

std::string safetensors_head(const std::vector<Tensor>& tensors) {
  std::string json = "{\"__metadata__\":{\"format\":\"pt\"}";
  int64_t end = 0;
  for (const Tensor& t : tensors) {
    const int64_t begin = end;
    end += 2 * t.elements();
    std::string shape;
    for (int64_t size : t.shape) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    json +=
        text(",\"", t.name, "\":{\"dtype\":\"BF16\",\"shape\":[", shape, "],\"data_offsets\":[", begin, ",", end, "]}");
  }
  json += '}';
  json.append((64 - (8 + json.size()) % 64) % 64, ' ');
  std::string out(8, '\0');
  for (size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(json.size() >> (8 * i));
  return out + json;
}

}  // namespace tare::synth
