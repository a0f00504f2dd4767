// The twins that llama.cpp's converter made of golden folders: the same tensors, bit for bit, and the same config.
#include <map>

#include "core/base/file.hpp"
#include "core/base/sha256.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/config/model_config.hpp"
#include "tests/unit/bundle/files.hpp"
#include "tests/unit/bundle/gguf_families.hpp"

namespace {

using namespace tare;
using namespace tare::testing;

const std::string kModels = TARE_SOURCE_DIR "/tests/golden/models/";

Result<Checkpoint> open_twin(const std::string& model, const std::string& type) {
  static const Families families;
  return open_checkpoint(kModels + model + "/" + model + "." + type + ".gguf", families);
}
std::vector<std::byte> all_rows(const WeightSource& source, const StoredTensor& t, DType as) {
  std::vector<std::byte> out(static_cast<size_t>(t.elements() * size_of(as)));
  const Status status = source.read(t, 0, t.rows(), as, out);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return out;
}

TEST_CASE("F32 and BF16 twins hold the folder's tensors bit for bit") {
  const std::pair<const char*, const char*> twins[] = {
      {"llama-gqa", "BF16"},   {"llama-gqa", "F32"},      {"llama-rope-llama3", "BF16"}, {"llama-rope-yarn", "BF16"},
      {"llama-tied", "BF16"},  {"mistral-plain", "BF16"}, {"qwen2-plain", "BF16"},       {"qwen2-plain", "F32"},
      {"qwen3-plain", "BF16"}, {"gemma2-plain", "BF16"},  {"gemma2-plain", "F32"},       {"gemma3-plain", "BF16"},
      {"gemma3-plain", "F32"},
  };
  for (const auto& [model, type] : twins) {
    CAPTURE(model);
    CAPTURE(type);
    auto folder = open_checkpoint(kModels + model, {});
    auto twin = open_twin(model, type);
    REQUIRE_MESSAGE(folder.ok(), folder.status().message());
    REQUIRE_MESSAGE(twin.ok(), twin.status().message());
    CHECK(twin->dtype == (std::string_view(type) == "F32" ? DType::f32 : DType::bf16));
    CHECK(check_readable(*twin->weights, model).ok());
    REQUIRE(twin->weights->tensors().size() == folder->weights->tensors().size());
    for (const StoredTensor& expected : folder->weights->tensors()) {
      CAPTURE(expected.name);
      const StoredTensor* found = twin->weights->find(expected.name);
      REQUIRE(found != nullptr);
      CHECK(found->shape == expected.shape);
      const auto wanted = all_rows(*folder->weights, expected, *expected.dtype);
      CHECK(all_rows(*twin->weights, *found, *expected.dtype) == wanted);
      // The same by pieces that do not begin at a head.
      std::vector<std::byte> pieces;
      for (int64_t row = 0; row < found->rows(); row += 7) {
        const int64_t end = std::min(found->rows(), row + 7);
        std::vector<std::byte> piece(
            static_cast<size_t>((end - row) * found->row_elements() * size_of(*expected.dtype)));
        REQUIRE(twin->weights->read(*found, row, end, *expected.dtype, piece).ok());
        pieces.insert(pieces.end(), piece.begin(), piece.end());
      }
      CHECK(pieces == wanted);
      if (const std::byte* map = twin->weights->mapped(*found); map != nullptr && found->dtype == expected.dtype)
        CHECK(std::memcmp(map, wanted.data(), wanted.size()) == 0);
    }
    for (const char* key :
         {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size",
          "num_key_value_heads", "rms_norm_eps", "tie_word_embeddings", "max_position_embeddings"}) {
      CAPTURE(key);
      const auto source = folder->config.find(key);
      REQUIRE(twin->config.contains(key));
      if (source != folder->config.end()) CHECK(twin->config.at(key) == source->second);
    }
    auto printed = parse_model_config(twin->config_json, "printed");
    REQUIRE(printed.ok());
    CHECK(*printed == twin->config);
  }
}

TEST_CASE("the F16 twin reads as F16 and as BF16") {
  auto twin = open_twin("llama-gqa", "F16");
  REQUIRE_MESSAGE(twin.ok(), twin.status().message());
  CHECK(twin->dtype == DType::f16);
  const StoredTensor& q = *twin->weights->find("model.layers.0.self_attn.q_proj.weight");
  CHECK(q.dtype == DType::f16);
  CHECK(all_rows(*twin->weights, q, DType::f16).size() == all_rows(*twin->weights, q, DType::bf16).size());
}

TEST_CASE("rope factors become a list in the config and are no tensor") {
  auto twin = open_twin("llama-rope-llama3", "BF16");
  REQUIRE(twin.ok());
  CHECK(Config(twin->config).numbers("gguf_rope_freq_factors").size() == 8);
  CHECK(twin->weights->find("rope_freqs.weight") == nullptr);
  CHECK(std::get<std::string>(open_twin("llama-rope-yarn", "BF16")->config.at("rope_scaling.rope_type")) == "yarn");
}

TEST_CASE("quantised twins expand to the values that ggml's own code gives, and say so") {
  for (const char* type : {"Q8_0", "Q4_0", "Q4_1"}) {
    CAPTURE(type);
    const std::string path = kModels + "llama-gqa/llama-gqa." + type + ".gguf";
    auto raw = open_checkpoint(path, {}, {.any_architecture = true});
    REQUIRE_MESSAGE(raw.ok(), raw.status().message());
    // twins.json: SHA-256 of each tensor expanded to F32, under GGUF's names and in the file's order.
    auto json = read_file(kModels + "llama-gqa/twins.json", 1 << 20);
    auto twins = parse_model_config(*json, "twins.json");
    REQUIRE(twins.ok());
    size_t compared = 0;
    const std::string group = "files.llama-gqa." + std::string(type) + ".gguf.expanded_sha256.";
    for (const StoredTensor& t : raw->weights->tensors()) {
      const auto expected = twins->find(group + t.name);
      if (expected == twins->end()) continue;
      ++compared;
      const auto values = all_rows(*raw->weights, t, DType::f32);
      CHECK(tare::sha256(values) == std::get<std::string>(expected->second));
    }
    CHECK(compared >= 14);
    auto twin = open_twin("llama-gqa", type);
    REQUIRE(twin.ok());
    CHECK(twin->dtype == DType::bf16);
    const std::string notes = twin->notes.empty() ? "" : twin->notes[0];
    CHECK(notes.find(std::string(type) + ") and are expanded to BF16") != std::string::npos);
    CHECK(notes.find("rounded once") != std::string::npos);
    CHECK(presented_bytes(*twin->weights) > stored_bytes(*twin->weights));
    const Status status = check_budget(*twin->weights, "m", presented_bytes(*twin->weights) - 1);
    CHECK(status.message().find("once expanded from") != std::string::npos);
  }
}

TEST_CASE("the vocabulary and the special ids arrive") {
  auto bpe = open_twin("llama-gqa", "BF16");
  REQUIRE(bpe->text.gguf);
  CHECK(bpe->text.gguf->model == "gpt2");
  CHECK(bpe->text.gguf->pre == "llama-bpe");
  CHECK(bpe->text.gguf->tokens.size() == 320);
  CHECK(bpe->text.gguf->types.size() == 320);
  CHECK(bpe->text.gguf->merges[0] == "h e");
  CHECK(bpe->text.gguf->bos == 312);
  CHECK(bpe->text.gguf->add_bos == true);
  CHECK(std::get<double>(bpe->config.at("eos_token_id")) == 313);
  auto spm = open_twin("gemma3-plain", "BF16");
  REQUIRE(spm->text.gguf);
  CHECK(spm->text.gguf->model == "llama");
  CHECK(spm->text.gguf->scores.size() == 320);
  CHECK(spm->text.gguf->unknown == 3);
  CHECK(spm->text.gguf->add_space_prefix == false);
}

}  // namespace
