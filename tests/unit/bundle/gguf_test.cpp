// GGUF files made byte by byte: what a reader must refuse, and what it must not mind.
#include <functional>

#include "core/bundle/checkpoint.hpp"
#include "core/bundle/describe.hpp"
#include "tests/unit/bundle/files.hpp"
#include "tests/unit/bundle/gguf_families.hpp"

namespace {

using namespace tare;
using namespace tare::testing;

std::string str(std::string_view text) { return bytes_of<uint64_t>(text.size()) + std::string(text); }
struct Gguf {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::vector<std::string> values, tensors;
  std::optional<uint64_t> value_count, tensor_count;
  std::string data;
  size_t alignment = 32;

  Gguf& value(std::string_view key, uint32_t type, std::string_view bytes) {
    values.push_back(str(key) + bytes_of(type) + std::string(bytes));
    return *this;
  }
  Gguf& text(std::string_view key, std::string_view value_text) { return value(key, 8, str(value_text)); }
  Gguf& u32(std::string_view key, uint32_t number) { return value(key, 4, bytes_of(number)); }
  Gguf& strings(std::string_view key, const std::vector<std::string>& list) {
    std::string bytes = bytes_of<uint32_t>(8) + bytes_of<uint64_t>(list.size());
    for (const auto& s : list) bytes += str(s);
    return value(key, 9, bytes);
  }
  Gguf& tensor(std::string_view name, const std::vector<uint64_t>& sizes, uint32_t type, uint64_t offset) {
    tensors.push_back(str(name) + bytes_of<uint32_t>(static_cast<uint32_t>(sizes.size())) + bytes_of(sizes) +
                      bytes_of(type) + bytes_of(offset));
    return *this;
  }
  std::string bytes() const {
    std::string out = magic + bytes_of(version) + bytes_of(tensor_count.value_or(tensors.size())) +
                      bytes_of(value_count.value_or(values.size()));
    for (const auto& v : values) out += v;
    for (const auto& t : tensors) out += t;
    if (alignment > 0)
      while (out.size() % alignment != 0) out += '\0';
    return out + data;
  }
};
Gguf llama() { return Gguf().text("general.architecture", "llama"); }
Gguf tiny() {
  Gguf g = llama();
  g.u32("llama.attention.head_count", 2).tensor("token_embd.weight", {4, 2}, 0, 0);
  g.data = std::string(32, 'x');
  return g;
}

Result<Checkpoint> open(const std::string& bytes, CheckpointOptions options = {}) {
  static const Families families;
  Folder folder;
  return open_checkpoint(folder.write("x.gguf", bytes), families, options);
}
std::string refusal(const std::string& bytes) {
  auto checkpoint = open(bytes);
  std::string message = checkpoint.status().message();
  if (const size_t at = message.find("/x.gguf"); at != message.npos) message = message.substr(at + 1);
  return message;
}

TEST_CASE("a small file opens") {
  auto checkpoint = open(tiny().bytes());
  REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
  const StoredTensor* t = checkpoint->weights->find("model.embed_tokens.weight");
  REQUIRE(t != nullptr);
  CHECK(t->shape == std::vector<int64_t>{2, 4});
  CHECK(std::get<double>(checkpoint->config.at("vocab_size")) == 2);
  CHECK(std::get<bool>(checkpoint->config.at("tie_word_embeddings")));
  CHECK(std::get<std::string>(checkpoint->config.at("torch_dtype")) == "float32");
  CHECK_FALSE(checkpoint->config.contains("attention_bias"));
  Gguf biased = tiny();
  biased.tensor("blk.0.attn_q.bias", {4}, 0, 32).data += std::string(16, 'b');
  CHECK(std::get<bool>(open(biased.bytes())->config.at("attention_bias")));
  CHECK(open(tiny().bytes(), {.weights = false})->weights == nullptr);
  Gguf old = tiny();
  old.version = 2;
  CHECK(open(old.bytes()).ok());
}

TEST_CASE("every proper beginning of a file is refused") {
  const std::string whole = tiny().bytes();
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(refusal(whole.substr(0, length)).find("x.gguf: ") == 0);
  }
  CHECK(refusal(whole.substr(0, whole.size() - 1)) ==
        "x.gguf: is truncated: it has " + std::to_string(whole.size() - 1) + " bytes, its header describes " +
            std::to_string(whole.size()));
}

TEST_CASE("hostile headers are refused in one sentence") {
  const auto broken = [](const std::function<void(Gguf&)>& change) {
    Gguf g = tiny();
    change(g);
    return refusal(g.bytes());
  };
  CHECK(broken([](Gguf& g) { g.magic = "GGML"; }) == "x.gguf: begins with 'GGML', a GGUF file begins with 'GGUF'");
  CHECK(broken([](Gguf& g) { g.version = 1; }) == "x.gguf: is GGUF version 1, versions 2 and 3 are read");
  CHECK(broken([](Gguf& g) { g.version = 0x03000000; }).find("big-endian") != std::string::npos);
  CHECK(broken([](Gguf& g) {
          g.tensor_count = uint64_t{1} << 60;
        }).find("claims 1152921504606846976 tensors and 2 metadata values, more than its") != std::string::npos);
  CHECK(broken([](Gguf& g) { g.value_count = ~uint64_t{0}; }).find("18446744073709551615 metadata values") !=
        std::string::npos);
  CHECK(broken([](Gguf& g) { g.value("k", 99, "abcd"); }) == "x.gguf: metadata 'k' has the unknown type 99");
  CHECK(broken([](Gguf& g) {
          g.value("k", 8, bytes_of(uint64_t{1} << 62));
        }).find("metadata 'k' claims a string of 4611686018427387904 bytes") != std::string::npos);
  CHECK(broken([](Gguf& g) {
          g.values.push_back(bytes_of(~uint64_t{0}));
          g.value("pad", 10, bytes_of<uint64_t>(0));
        }).find("a metadata key claims a string of") != std::string::npos);
  CHECK(broken([](Gguf& g) {
          g.value("k", 9, bytes_of<uint32_t>(4) + bytes_of(uint64_t{1} << 61));
        }).find("metadata 'k' claims a list of 2305843009213693952 values") != std::string::npos);
  CHECK(broken([](Gguf& g) {
          g.value("k", 9, bytes_of<uint32_t>(77) + bytes_of<uint64_t>(1));
        }).find("is a list of the unknown type 77") != std::string::npos);
  CHECK(broken([](Gguf& g) {
          std::string nested;
          for (int i = 0; i < 1000; ++i) nested += bytes_of<uint32_t>(9) + bytes_of<uint64_t>(1);
          g.value("k", 9, nested);
        }) == "x.gguf: metadata 'k' nests lists deeper than 4");
  CHECK(broken([](Gguf& g) { g.u32("llama.attention.head_count", 3); }) ==
        "x.gguf: metadata 'llama.attention.head_count' occurs twice");
  CHECK(broken([](Gguf& g) { g.u32("general.alignment", 24); }) ==
        "x.gguf: general.alignment is 24, expected a power of two up to 2^24");
  CHECK(broken([](Gguf& g) { g.u32("general.alignment", 0); }).find("general.alignment is 0") != std::string::npos);
  CHECK(broken([](Gguf& g) { g.text("general.alignment", "32"); }).find("is no whole number") != std::string::npos);
  CHECK(broken([](Gguf& g) {
          g.tensor("token_embd.weight", {4, 2}, 0, 32);
        }) == "x.gguf: tensor 'token_embd.weight' occurs twice");
  CHECK(broken([](Gguf& g) { g.tensor("a", {}, 0, 32); }) == "x.gguf: tensor 'a' has 0 dimensions, expected 1 to 4");
  CHECK(broken([](Gguf& g) { g.tensor("a", {1, 1, 1, 1, 1}, 0, 32); }).find("has 5 dimensions") != std::string::npos);
  CHECK(broken([](Gguf& g) { g.tensor("a", {0}, 0, 32); }).find("has the size 0 in dimension 0") != std::string::npos);
  CHECK(broken([](Gguf& g) {
          g.tensor("a", {1u << 30, 1u << 30}, 0, 32);
        }).find("has the size 1073741824 in dimension 1") != std::string::npos);
  CHECK(broken([](Gguf& g) { g.tensor("a", {~uint64_t{0}}, 0, 32); }).find("a product up to 2^57") !=
        std::string::npos);
  CHECK(broken([](Gguf& g) { g.tensor("a", {33}, 2, 32); }) ==
        "x.gguf: tensor 'a' has rows of 33 elements, Q4_0 needs a multiple of 32");
  CHECK(broken([](Gguf& g) { g.tensor("a", {4}, 0, 31); }).find("begins at offset 31, expected a multiple of 32") !=
        std::string::npos);
  CHECK(broken([](Gguf& g) { g.tensor("a", {4}, 0, ~uint64_t{31}); }).find("inside the file's") != std::string::npos);
  CHECK(broken([](Gguf& g) { g.tensor("a", {4}, 0, 64); }).find("is truncated: it has") != std::string::npos);
  CHECK(broken([](Gguf& g) { g.tensor("a", {4}, 0, 0); }).find("overlap at byte") != std::string::npos);
  CHECK(broken([](Gguf& g) { g.tensor(std::string(2000, 'n'), {4}, 0, 0); }).find("at most 1024 are accepted") !=
        std::string::npos);
}

TEST_CASE("contradictions with the model are refused") {
  CHECK(refusal(Gguf().bytes()) == "x.gguf: has no general.architecture in its metadata");
  CHECK(refusal(Gguf().text("general.architecture", "lama").bytes()) ==
        "x.gguf: its architecture is 'lama', which no model plugin reads from GGUF; known are llama, qwen2, qwen3, "
        "gemma2, "
        "gemma3; the nearest is llama");
  CHECK(refusal(llama().value("split.count", 2, bytes_of<uint16_t>(3)).bytes())
            .find("is one of 3 parts of a split GGUF") != std::string::npos);
  Gguf q = llama();
  q.tensor("blk.0.attn_q.weight", {2, 6}, 0, 0).data = std::string(48, 'x');
  CHECK(refusal(q.bytes()).find("has 6 rows, which an unknown count of heads do not divide into pairs") !=
        std::string::npos);
  q.u32("llama.attention.head_count", 2);
  CHECK(refusal(q.bytes()).find(
            "tensor 'model.layers.0.self_attn.q_proj.weight' F32 [6, 2] has 6 rows, which 2 heads do not") !=
        std::string::npos);
  Gguf same = tiny();
  same.tensor("model.embed_tokens.weight", {4}, 0, 32).data += std::string(16, 'y');
  CHECK(refusal(same.bytes()) == "x.gguf: two of its tensors are 'model.embed_tokens.weight'");
  Gguf ids = tiny();
  ids.text("tokenizer.ggml.model", "gpt2")
      .strings("tokenizer.ggml.tokens", {"a", "b"})
      .u32("tokenizer.ggml.bos_token_id", 2);
  CHECK(refusal(ids.bytes()) == "x.gguf: tokenizer.ggml.bos_token_id is 2, the vocabulary has 2 tokens");
  Gguf counts = tiny();
  counts.text("tokenizer.ggml.model", "llama").strings("tokenizer.ggml.tokens", {"a", "b"});
  counts.value("tokenizer.ggml.scores", 9, bytes_of<uint32_t>(6) + bytes_of<uint64_t>(1) + bytes_of(1.0f));
  CHECK(refusal(counts.bytes()) == "x.gguf: tokenizer.ggml.scores has 1 values, tokenizer.ggml.tokens has 2");
  Gguf rope = tiny();
  rope.tensor("rope_freqs.weight", {4, 1}, 0, 32).data += std::string(16, 'y');
  CHECK(refusal(rope.bytes()).find("'rope_freqs.weight' is F32 with 2 dimensions") != std::string::npos);
}

TEST_CASE("types that are not read are listed, and refused by name when they are asked for") {
  Gguf g = tiny();
  g.tensor("output.weight", {256, 1}, 12, 32);       // Q4_K
  g.tensor("blk.0.ffn_up.weight", {4, 1}, 41, 192);  // a type that does not exist yet
  g.data += std::string(144, 'k') + std::string(16, 'z');
  auto checkpoint = open(g.bytes());
  REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
  CHECK(checkpoint->notes.back() ==
        "tensors of types that are not read: 1 Q4_K, 1 type 41 (read are F32, F16, BF16, Q8_0, Q4_0 and Q4_1)");
  CHECK(check_readable(*checkpoint->weights, "m").message() ==
        "m: tensor 'lm_head.weight' Q4_K [1, 256] in x.gguf is stored as Q4_K, which cannot be read");
}

TEST_CASE("tensors that the model does not name keep their names and are noted") {
  Gguf g = tiny();
  g.tensor("blk.x.attn_q.weight", {4}, 0, 32).tensor("blk..attn_q.weight", {4}, 0, 64).data += std::string(48, 'y');
  auto checkpoint = open(g.bytes());
  REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
  CHECK(checkpoint->weights->find("blk.x.attn_q.weight") != nullptr);
  CHECK(checkpoint->notes[1] == "2 tensors have no counterpart in the model, such as 'blk.x.attn_q.weight'");
}

TEST_CASE("odd metadata that means no harm is read over") {
  Gguf g = tiny();
  g.value("nested", 9,
          bytes_of<uint32_t>(9) + bytes_of<uint64_t>(2) + bytes_of<uint32_t>(0) + bytes_of<uint64_t>(1) + "a" +
              bytes_of<uint32_t>(8) + bytes_of<uint64_t>(1) + str("b"));
  g.value("negative", 1, "\xff")
      .value("double", 12, bytes_of(0.5))
      .value("flag", 7, "\x02")
      .value("i64", 11, bytes_of(int64_t{-5}));
  g.value("nothing", 9, bytes_of<uint32_t>(8) + bytes_of<uint64_t>(0));
  CHECK(open(g.bytes()).ok());
}

TEST_CASE("a layer's own count of kv heads is used") {
  Gguf g = llama();
  g.u32("llama.attention.head_count", 2);
  g.value("llama.attention.head_count_kv", 9,
          bytes_of<uint32_t>(4) + bytes_of<uint64_t>(2) + bytes_of<uint32_t>(1) + bytes_of<uint32_t>(2));
  g.tensor("blk.0.attn_k.weight", {1, 4}, 0, 0).tensor("blk.1.attn_k.weight", {1, 4}, 0, 32);
  g.data = bytes_of(std::vector<float>{0, 1, 2, 3}) + std::string(16, '\0') + bytes_of(std::vector<float>{0, 1, 2, 3});
  auto checkpoint = open(g.bytes());
  REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
  std::vector<float> rows(4);
  const auto read = [&](const char* name) {
    const StoredTensor& t = *checkpoint->weights->find(name);
    REQUIRE(checkpoint->weights->read(t, 0, 4, DType::f32, std::as_writable_bytes(std::span(rows))).ok());
    return rows;
  };
  CHECK(read("model.layers.0.self_attn.k_proj.weight") == std::vector<float>{0, 2, 1, 3});  // one head of four rows
  CHECK(read("model.layers.1.self_attn.k_proj.weight") == std::vector<float>{0, 1, 2, 3});  // two heads of two
}

TEST_CASE("a file that is cut after it was opened gives a status") {
  static const Families families;
  Folder folder;
  const std::string path = folder.write("x.gguf", tiny().bytes());
  auto checkpoint = open_checkpoint(path, families);
  REQUIRE(checkpoint.ok());
  std::filesystem::resize_file(path, 40);
  std::vector<std::byte> out(32);
  CHECK(checkpoint->weights->read(checkpoint->weights->tensors()[0], 0, 2, DType::f32, out).code() == Code::corrupt);
}

TEST_CASE("the description says what is stored, what is expanded and that it rounds") {
  static const Families families;
  const std::string models = TARE_SOURCE_DIR "/tests/golden/models/";
  auto q = describe_checkpoint(models + "llama-gqa/llama-gqa.Q4_1.gguf", families);
  REQUIRE_MESSAGE(q.ok(), q.status().message());
  CHECK(q->kind == "GGUF");
  CHECK(q->architecture == "LlamaForCausalLM");
  CHECK(q->tokenizer == "GGUF (gpt2, llama-bpe)");
  CHECK(q->expands);
  CHECK(q->types[0].stored == "Q4_1");
  CHECK(q->types[0].presented == "bf16");
  CHECK(q->types[0].presented_bytes == 2 * q->types[0].elements);
  CHECK(q->types[0].stored_bytes == q->types[0].elements / 32 * 20);
  CHECK(q->presented_bytes == 2 * q->parameters);
  CHECK(q->notes[0].find("rounded once") != std::string::npos);
  CHECK(q->notes.back() == "BF16 holds all 320 values of those vectors exactly");

  auto folder = describe_checkpoint(models + "llama-gqa", families);
  REQUIRE(folder.ok());
  CHECK(folder->parameters == q->parameters);
  CHECK_FALSE(folder->expands);
  CHECK(folder->types.size() == 1);
  CHECK(folder->stored_bytes == folder->presented_bytes);
  // An architecture that no plugin knows can be looked at all the same.
  auto unknown = describe_checkpoint(models + "gemma2-plain/gemma2-plain.F32.gguf", {});
  REQUIRE(unknown.ok());
  CHECK(unknown->notes[0].find("its architecture is 'gemma2', which no model plugin reads from GGUF") !=
        std::string::npos);
  CHECK(unknown->tensors[0].name == "blk.0.attn_k.weight");
}

}  // namespace
