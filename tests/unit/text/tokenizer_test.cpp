// Ids and texts equal those of Hugging Face tokenizers, from tokenizer.json and from the GGUF arrays of one model.
#include <doctest/doctest.h>

#include "plugins/text/service.hpp"
#include "tests/unit/text/tokenizer_cases.hpp"

using namespace tare;
using Ids = std::vector<int32_t>;

namespace {

std::unique_ptr<TextModel> open(const TextSource& source) {
  auto model = text_plugin::make_text_service()->open(source);
  if (!model.ok()) FAIL(model.status().message());
  return std::move(model).value();
}

std::string stream(const TextModel& model, const Ids& ids, bool skip_special) {
  const auto decoder = model.stream_decoder(skip_special);
  std::string text;
  for (const int32_t id : ids) {
    const std::string piece = decoder->push(id);
    CHECK(text_test::is_valid_utf8(piece));
    text += piece;
  }
  return text + decoder->finish();
}

}  // namespace

TEST_CASE("ids and texts equal those of tokenizers, from either source") {
  for (const std::string& name : text_test::kRecordedTokenizers) {
    const auto recorded = text_test::read_tokenizer(name);
    REQUIRE(recorded.cases.size() > 40);
    for (const TextSource* source : {&recorded.json, &recorded.gguf}) {
      CAPTURE(source->name);
      const auto model = open(*source);
      for (const auto& c : recorded.cases) {
        CAPTURE(c.text);
        CHECK(model->encode(c.text, {.add_special = false}).value() == c.ids);
        CHECK(model->encode(c.text, {}).value() == c.with_special);
        CHECK(model->encode(c.text, {.add_special = false, .parse_special = false}).value() == c.as_text);
        CHECK(model->decode(c.ids, false).value() == c.decoded);
        CHECK(model->decode(c.ids, true).value() == c.decoded_skipping);
        CHECK(stream(*model, c.ids, false) == c.decoded);
        CHECK(stream(*model, c.ids, true) == c.decoded_skipping);
      }
    }
  }
}

TEST_CASE("a stream of any ids gives the text of the whole and never half a character") {
  for (const std::string& name : text_test::kRecordedTokenizers) {
    CAPTURE(name);
    const auto model = open(text_test::read_tokenizer(name).gguf);
    uint64_t state = 12345;
    for (int round = 0; round < 50; ++round) {
      Ids ids;
      for (int i = 0; i < 40; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ids.push_back(static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(model->vocabulary_size() + 3)) - 1);
      }
      for (const bool skip : {false, true}) CHECK(stream(*model, ids, skip) == model->decode(ids, skip).value());
    }
  }
}

TEST_CASE("a character in three byte tokens comes out once, whole") {
  const auto model = open(text_test::read_tokenizer("spm-llama").gguf);
  const Ids bytes = {3 + 0xE4, 3 + 0xBD, 3 + 0xA0};
  const auto decoder = model->stream_decoder(true);
  CHECK(decoder->push(bytes[0]).empty());
  CHECK(decoder->push(bytes[1]).empty());
  CHECK(decoder->push(bytes[2]) == "你");
  CHECK(decoder->push(bytes[0]).empty());
  CHECK(decoder->finish() == "\xEF\xBF\xBD");
  CHECK(model->token_bytes(bytes[0]) == "\xE4");
  CHECK(model->token_bytes(3 + 10) == "\n");
}

TEST_CASE("BOS is put once, also when the text begins with it") {
  for (const char* name : {"llama-bpe", "spm-llama"}) {
    const auto recorded = text_test::read_tokenizer(name);
    for (const TextSource* source : {&recorded.json, &recorded.gguf}) {
      CAPTURE(source->name);
      const auto model = open(*source);
      REQUIRE(model->bos().has_value());
      const int32_t bos = *model->bos();
      const Ids plain = model->encode("<s>hi", {.add_special = false}).value();
      REQUIRE(plain.front() == bos);
      CHECK(model->encode("<s>hi", {}).value() == plain);
      CHECK(model->encode("hi", {}).value().front() == bos);
      // As plain text it is no BOS, so one is put in front.
      const Ids as_text = model->encode("<s>hi", {.parse_special = false}).value();
      CHECK(as_text[0] == bos);
      CHECK(as_text[1] != bos);
    }
  }
}

TEST_CASE("a tokenizer says what its tokens are") {
  const auto recorded = text_test::read_tokenizer("llama-bpe");
  const auto model = open(recorded.gguf);
  CHECK(model->vocabulary_size() == static_cast<int32_t>(recorded.gguf.gguf->tokens.size()) - 1);  // without padding
  const int32_t end = model->encode("<|im_end|>", {.add_special = false}).value().at(0);
  CHECK(model->is_special(end));
  CHECK(model->token_text(end).value() == "<|im_end|>");
  const int32_t space = model->encode(" ", {.add_special = false}).value().at(0);
  CHECK(model->token_bytes(space) == " ");
  CHECK_FALSE(model->is_special(space));
  CHECK(model->token_text(1 << 20).status().code() == Code::not_found);
  CHECK(model->token_text(-1).status().code() == Code::not_found);
  CHECK(model->token_bytes(1 << 20).empty());
  CHECK_FALSE(model->is_special(-5));
  CHECK(model->stop_ids() == Ids{recorded.gguf.gguf->eos, end});  // <|im_end|> ends a turn too
}

TEST_CASE("stop ids come from generation_config, config and the tokenizer together") {
  auto recorded = text_test::read_tokenizer("qwen2");
  recorded.json.generation_config_json = R"({"eos_token_id": [7, 5]})";
  recorded.json.config_json = R"({"eos_token_id": 9, "text_config": {"eos_token_id": 11}})";
  const auto model = open(recorded.json);
  const int32_t eos = model->encode("</s>", {.add_special = false}).value().at(0);
  CHECK(model->stop_ids() == Ids{5, 7, 9, 11, eos});
}

TEST_CASE("a Llama class puts BOS by its flags, whatever the post-processor says") {
  auto recorded = text_test::read_tokenizer("spm-llama");
  const Ids plain = open(recorded.json)->encode("hi", {.add_special = false}).value();
  const auto ids_with = [&](const char* config) {
    recorded.json.tokenizer_config_json = config;
    return open(recorded.json)->encode("hi", {}).value();
  };
  CHECK(ids_with(R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": false})") == plain);
  Ids both = plain;
  both.insert(both.begin(), 1), both.push_back(2);
  CHECK(ids_with(R"({"tokenizer_class": "LlamaTokenizerFast", "add_eos_token": true})") == both);
}

TEST_CASE("every pre-tokeniser name opens, an unknown one is refused") {
  auto source = text_test::read_tokenizer("gpt-2").gguf;
  for (const char* name : {"",
                           "default",
                           "llama3",
                           "llama-v3",
                           "llama-bpe",
                           "falcon3",
                           "falcon-h1",
                           "pixtral",
                           "midm-2.0",
                           "lfm2",
                           "jina-v5-nano",
                           "dbrx",
                           "smaug-bpe",
                           "glm4",
                           "chatglm-bpe",
                           "qwen2",
                           "deepseek-r1-qwen",
                           "megrez",
                           "stablelm2",
                           "kormo",
                           "f2llmv2",
                           "hunyuan",
                           "solar-open",
                           "grok-2",
                           "qwen35",
                           "laguna",
                           "minicpm5",
                           "gpt-2",
                           "phi-2",
                           "jina-es",
                           "jina-de",
                           "jina-v1-en",
                           "jina-v2-es",
                           "jina-v2-de",
                           "jina-v2-code",
                           "roberta-bpe",
                           "gigachat",
                           "a.x-4.0",
                           "mellum",
                           "modern-bert",
                           "jais",
                           "exaone4",
                           "trillion",
                           "granite-docling",
                           "mpt",
                           "olmo",
                           "smollm",
                           "starcoder",
                           "refact",
                           "codeshell",
                           "exaone",
                           "minerva-7b",
                           "mellum2",
                           "command-r",
                           "falcon",
                           "deepseek-llm",
                           "deepseek-coder",
                           "deepseek-v3",
                           "hunyuan-dense",
                           "hy_v4",
                           "joyai-llm",
                           "spark2_5",
                           "afmoe",
                           "youtu",
                           "tekken",
                           "gpt-4o",
                           "llama4",
                           "kanana2",
                           "talkie",
                           "minimax-m2",
                           "granite-embed-multi-97m",
                           "tiny_aya",
                           "cohere2moe",
                           "kimi-k2",
                           "superbpe",
                           "bailingmoe",
                           "bailingmoe2",
                           "llada-moe",
                           "seed-coder",
                           "ufakzeka",
                           "jais-2",
                           "exaone-moe",
                           "poro-chat",
                           "bloom",
                           "gpt3-finnish",
                           "viking",
                           "chameleon"}) {
    CAPTURE(name);
    source.gguf->pre = name;
    const auto model = open(source);
    const std::string text = "Hello WORLD's 12345 東京 (x) Ünïcödé\n\n  \tend 漢字かな123!?";
    const Ids ids = model->encode(text, {.add_special = false}).value();
    CHECK(model->decode(ids, false).value() == text);
  }
  source.gguf->pre = "made-up";
  const auto refused = text_plugin::make_text_service()->open(source);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == Code::unsupported);
  CHECK(refused.status().message().find("'made-up'") != std::string::npos);
}
