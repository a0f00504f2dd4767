// Tokenizers of real checkpoint files: a folder and its GGUF twin, and the demo model against ids recorded from Hugging
// Face tokenizers and from llama.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/bundle/checkpoint.hpp"
#include "plugins/text/service.hpp"

using namespace tare;
namespace json = boost::json;
using Ids = std::vector<int32_t>;

namespace {

const std::string kGolden = std::string(TARE_SOURCE_DIR) + "/tests/golden/";

json::value read_json(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return json::parse(std::string{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()});
}

std::unique_ptr<TextModel> open(const std::string& path) {
  auto checkpoint = open_checkpoint(path, {}, {.weights = false, .any_architecture = true});
  if (!checkpoint.ok()) FAIL(checkpoint.status().message());
  auto model = text_plugin::make_text_service()->open(checkpoint->text);
  if (!model.ok()) FAIL(model.status().message());
  return std::move(model).value();
}

void check_samples(const TextModel& model, const json::value& samples, bool parse_special = true) {
  REQUIRE(samples.as_array().size() > 8);
  for (const json::value& sample : samples.as_array()) {
    const auto text = json::value_to<std::string>(sample.at("text"));
    CAPTURE(text);
    CHECK(model.encode(text, {.add_special = false, .parse_special = parse_special}).value() ==
          json::value_to<Ids>(sample.at("ids")));
    if (const json::value* decoded = sample.as_object().if_contains("decoded"))
      CHECK(model.decode(json::value_to<Ids>(sample.at("ids")), false).value() == std::string(decoded->as_string()));
  }
}

}  // namespace

TEST_CASE("a folder and its GGUF twin give the recorded ids") {
  for (const auto& [tokenizer, model] :
       {std::pair("bpe-llama3", "llama-gqa"), std::pair("bpe-qwen2", "qwen2-plain"),
        std::pair("spm-llama", "mistral-plain"), std::pair("spm-gemma", "gemma2-plain")}) {
    CAPTURE(std::string(tokenizer));
    const json::value samples = read_json(kGolden + "tokenizers/" + tokenizer + "/samples.json");
    check_samples(*open(kGolden + "models/" + model + "/" + model + ".BF16.gguf"), samples);
    TextSource source;
    std::ifstream in(kGolden + "tokenizers/" + tokenizer + "/tokenizer.json", std::ios::binary);
    source.tokenizer_json = {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto folder = text_plugin::make_text_service()->open(source);
    REQUIRE(folder.ok());
    check_samples(**folder, samples);
  }
}

TEST_CASE("the demo model's vocabulary gives the ids of Hugging Face tokenizers and of llama.cpp") {
  const char* cache = std::getenv("TARE_CACHE");
  const std::string path = (cache ? std::string(cache) : std::string(TARE_SOURCE_DIR) + "/.cache") +
                           "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    MESSAGE("left out: no demo model at " << path << "; scripts/demo-model.sh fetches it");
    return;
  }
  const auto model = open(path);
  const json::value recorded = read_json(kGolden + "text/smollm2.json");
  check_samples(*model, recorded.at("cases"));
  check_samples(*model, read_json(kGolden + "tokenizers/demo/samples.json").at("samples"), false);
  CHECK(model->vocabulary_size() == 49152);
  CHECK(model->bos() == recorded.at("bos").as_int64());
  const Ids stops = model->stop_ids();
  CHECK(std::find(stops.begin(), stops.end(), recorded.at("eos").as_int64()) != stops.end());
  REQUIRE(model->has_template());
  const auto prompt =
      model->render(R"({"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true})", {});
  REQUIRE(prompt.ok());
  CHECK(*prompt ==
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  CHECK(model->encode(*prompt, {}).value().front() == 1);  // <|im_start|>, which is BOS too: not doubled
}
