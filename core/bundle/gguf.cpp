// A GGUF file as a checkpoint: config.json made from its metadata by a model family's mapping, tensors renamed.
#include <algorithm>
#include <charconv>
#include <map>

#include "core/base/file.hpp"
#include "core/base/nearest.hpp"
#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/bundle/gguf_file.hpp"
#include "core/bundle/gguf_vocabulary.hpp"
#include "core/bundle/gguf_weights.hpp"
#include "core/config/model_config.hpp"

namespace tare {
namespace {

// The double whose text is the F32's shortest one: 1e-05 was written, 9.999999747378752e-06 is what an F32 holds.
double shortest(float value) {
  char digits[48];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  double out = static_cast<double>(value);
  std::from_chars(digits, end, out);
  return out;
}
void put(Config::Values* config, const std::string& key, const GgufValue& value) {
  if (const auto* list = std::get_if<GgufList>(&value)) {
    for (size_t i = 0; i < list->numbers.size(); ++i) config->emplace(text(key, ".", i), list->numbers[i]);
    for (size_t i = 0; i < list->strings.size(); ++i) config->emplace(text(key, ".", i), list->strings[i]);
    return;
  }
  config->emplace(key, std::visit(
                           [](const auto& v) -> Config::Value {
                             using V = std::decay_t<decltype(v)>;
                             if constexpr (std::is_same_v<V, float>) return shortest(v);
                             if constexpr (std::is_same_v<V, bool> || std::is_same_v<V, std::string>) return v;
                             if constexpr (std::is_arithmetic_v<V>) return static_cast<double>(v);
                             return 0.0;
                           },
                           value));
}

Result<const GgufMapping*> find_mapping(const std::string& path, const std::string& architecture,
                                        std::span<const ModelFamily* const> families) {
  std::vector<std::string> known;
  for (const ModelFamily* family : families)
    for (const GgufMapping& mapping : family->gguf) {
      if (mapping.architecture == architecture) return &mapping;
      known.push_back(mapping.architecture);
    }
  std::string list;
  for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
  const std::string nearest = nearest_name(architecture, known);
  return failure(Code::unsupported, path, ": its architecture is '", printable(architecture, 80),
                 "', which no model plugin reads from GGUF; ",
                 known.empty() ? "there is none that reads GGUF" : "known are " + list,
                 nearest.empty() ? "" : "; the nearest is " + nearest);
}

// rope_freqs.weight divides the rotary frequencies (llama3 scaling and longrope): a list in the config, no weight.
Status take_rope_factors(GgufFile* gguf, Config::Values* config) {
  const auto at = std::find_if(gguf->tensors.begin(), gguf->tensors.end(),
                               [](const auto& t) { return t.name == "rope_freqs.weight"; });
  if (at == gguf->tensors.end()) return {};
  if (at->type != "F32" || at->shape.size() != 1 || at->shape[0] > 65536)
    return invalid(gguf->file->path(), ": tensor 'rope_freqs.weight' is ", at->type, " with ", at->shape.size(),
                   " dimensions, expected an F32 vector of at most 65536");
  std::vector<float> factors(static_cast<size_t>(at->shape[0]));
  TARE_RETURN_IF_ERROR(gguf->file->read(at->offset, std::as_writable_bytes(std::span(factors))));
  for (size_t i = 0; i < factors.size(); ++i)
    config->insert_or_assign(text("gguf_rope_freq_factors.", i), static_cast<double>(factors[i]));
  gguf->tensors.erase(at);
  return {};
}

Status make_config(const GgufMapping& mapping, GgufFile* gguf, Config::Values* config) {
  for (const GgufKey& key : mapping.keys)
    if (const auto at = gguf->metadata.find(key.gguf); at != gguf->metadata.end()) put(config, key.config, at->second);
  for (const auto& [key, value] : mapping.constants) config->emplace(key, value);
  config->emplace("architectures.0", mapping.model_type);
  TARE_RETURN_IF_ERROR(take_rope_factors(gguf, config));
  bool head = false;
  for (const GgufTensorEntry& t : gguf->tensors) {
    head |= t.name == "output.weight";
    if (t.name == "token_embd.weight") config->emplace("vocab_size", static_cast<double>(t.shape[0]));
    if (t.name == "blk.0.attn_q.bias") config->emplace("attention_bias", true);
    if (t.name == "blk.0.ffn_gate.bias") config->emplace("mlp_bias", true);
  }
  config->emplace("tie_word_embeddings", !head);
  return {};
}

void note_expansion(const WeightSource& weights, DType dtype, std::vector<std::string>* notes) {
  std::map<std::string, int64_t> quantised, unread;
  int64_t stored = 0, presented = 0, narrowed = 0, count = 0;
  for (const StoredTensor& t : weights.tensors()) {
    if (!t.dtype) ++unread[t.stored];
    if (t.expanded) ++quantised[t.stored], ++count, stored += t.stored_bytes, presented += t.bytes();
    narrowed += t.dtype == DType::bf16 && (t.stored == "F32" || t.stored == "F16");
  }
  const auto list = [](const auto& counts) {
    std::string out;
    for (const auto& [type, n] : counts) out += text(out.empty() ? "" : ", ", n, " ", type);
    return out;
  };
  if (count > 0)
    notes->push_back(text(count, " of ", weights.tensors().size(), " tensors are quantised (", list(quantised),
                          ") and are expanded to BF16: ", human_bytes(stored), " become ", human_bytes(presented),
                          ", and each value is rounded once to the 8 significant bits of BF16"));
  if (narrowed > 0 && dtype == DType::bf16)
    notes->push_back(text(narrowed,
                          " F32 or F16 tensors are presented as BF16, like the matrices: exact where they were made "
                          "from BF16, rounded once otherwise"));
  if (!unread.empty())
    notes->push_back(
        text("tensors of types that are not read: ", list(unread), " (read are F32, F16, BF16, Q8_0, Q4_0 and Q4_1)"));
}

}  // namespace

Result<Checkpoint> open_gguf(const std::string& path, std::span<const ModelFamily* const> families,
                             const CheckpointOptions& options) {
  TARE_ASSIGN_OR_RETURN(auto file, File::open(path));
  TARE_ASSIGN_OR_RETURN(GgufFile gguf, read_gguf(std::move(file)));
  if (const auto parts = gguf.integer("split.count"); parts && *parts > 1)
    return failure(Code::unsupported, path, ": is one of ", *parts,
                   " parts of a split GGUF, which are not read; join them ",
                   "with llama.cpp's llama-gguf-split --merge");
  const auto architecture = gguf.string("general.architecture");
  if (!architecture) return invalid(path, ": has no general.architecture in its metadata");
  auto mapping = find_mapping(path, *architecture, families);
  if (!mapping.ok() && !options.any_architecture) return std::move(mapping).status();

  Checkpoint checkpoint;
  checkpoint.kind = Checkpoint::Kind::gguf;
  checkpoint.path = path;
  checkpoint.name = file_name(path);
  if (checkpoint.name.ends_with(".gguf")) checkpoint.name.resize(checkpoint.name.size() - 5);
  if (mapping.ok()) {
    TARE_RETURN_IF_ERROR(make_config(**mapping, &gguf, &checkpoint.config));
  } else {
    checkpoint.config.emplace("architectures.0", *architecture);
    checkpoint.notes.push_back(mapping.status().message());
  }
  std::vector<std::string> unmapped;
  TARE_ASSIGN_OR_RETURN(auto weights,
                        open_gguf_weights(gguf, mapping.ok() ? *mapping : nullptr, checkpoint.config, &unmapped));
  checkpoint.dtype = main_dtype(*weights);
  checkpoint.config.emplace("torch_dtype", checkpoint.dtype == DType::f32   ? "float32"
                                           : checkpoint.dtype == DType::f16 ? "float16"
                                                                            : "bfloat16");
  TARE_ASSIGN_OR_RETURN(checkpoint.text.gguf, gguf_vocabulary(gguf));
  if (const auto& vocabulary = checkpoint.text.gguf) {
    if (vocabulary->bos >= 0) checkpoint.config.emplace("bos_token_id", static_cast<double>(vocabulary->bos));
    if (vocabulary->eos >= 0) checkpoint.config.emplace("eos_token_id", static_cast<double>(vocabulary->eos));
    if (vocabulary->padding >= 0) checkpoint.config.emplace("pad_token_id", static_cast<double>(vocabulary->padding));
  } else {
    checkpoint.notes.push_back("there is no tokenizer in the metadata: the model takes token ids only");
  }
  checkpoint.config_json = print_model_config(checkpoint.config);
  checkpoint.text.name = checkpoint.name;
  checkpoint.text.config_json = checkpoint.config_json;
  checkpoint.text.chat_template = gguf.string("tokenizer.chat_template").value_or("");
  if (mapping.ok() && !unmapped.empty())
    checkpoint.notes.push_back(text(unmapped.size(), unmapped.size() == 1 ? " tensor has" : " tensors have",
                                    " no counterpart in the model, such as '", printable(unmapped[0], 120), "'"));
  note_expansion(*weights, checkpoint.dtype, &checkpoint.notes);
  if (options.weights) checkpoint.weights = std::move(weights);
  return checkpoint;
}

}  // namespace tare
