#include "core/bundle/checkpoint.hpp"

#include "tests/unit/bundle/files.hpp"

namespace {

using namespace tare;
using namespace tare::testing;

const std::string kGolden = TARE_SOURCE_DIR "/tests/golden/models/";
const std::string kTensor = R"({"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}})";

std::string refusal(const std::string& path) { return open_checkpoint(path, {}).status().message(); }

TEST_CASE("a folder gives config, text files and weights") {
  Folder folder;
  folder.write("config.json", R"({"architectures": ["X"], "hidden_size": 2})");
  folder.write("model.safetensors", safetensors(kTensor, "abcd"));
  folder.write("tokenizer.json", "{}");
  folder.write("tokenizer_config.json", "{\"a\": 1}");
  folder.write("generation_config.json", "{\"eos_token_id\": 1}");
  folder.write("chat_template.json", R"({"chat_template": "from {{ json }}"})");
  auto checkpoint = open_checkpoint(folder.path, {});
  REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
  CHECK(checkpoint->kind == Checkpoint::Kind::folder);
  CHECK(checkpoint->name == folder.path.substr(5));
  CHECK(std::get<double>(checkpoint->config.at("hidden_size")) == 2);
  CHECK(checkpoint->text.tokenizer_json == "{}");
  CHECK(checkpoint->text.tokenizer_config_json == "{\"a\": 1}");
  CHECK(checkpoint->text.generation_config_json == "{\"eos_token_id\": 1}");
  CHECK(checkpoint->text.chat_template == "from {{ json }}");
  CHECK(checkpoint->text.config_json == checkpoint->config_json);
  CHECK(checkpoint->weights->find("a") != nullptr);
  CHECK(checkpoint->dtype == DType::bf16);
  CHECK(checkpoint->notes.empty());

  folder.write("chat_template.jinja", "from jinja");
  folder.write("other.safetensors", "broken");  // beside model.safetensors it is not looked at
  CHECK(open_checkpoint(folder.path + "/", {})->text.chat_template == "from jinja");
  auto single = open_checkpoint(folder.path + "/model.safetensors", {});
  REQUIRE(single.ok());
  CHECK(single->text.chat_template == "from jinja");
  CHECK(open_checkpoint(folder.path + "/other.safetensors", {}).status().message().find("has 6 bytes") !=
        std::string::npos);
}

TEST_CASE("config and text can be had without weights") {
  Folder folder;
  folder.write("config.json", "{}");
  auto checkpoint = open_checkpoint(folder.path, {}, {.weights = false});
  REQUIRE(checkpoint.ok());
  CHECK(checkpoint->weights == nullptr);
  CHECK(checkpoint->notes == std::vector<std::string>{"there is no tokenizer.json: the model takes token ids only"});
}

TEST_CASE("what is no model gets one sentence that helps") {
  Folder folder;
  CHECK(refusal("meta-llama/Llama-3.2-1B") ==
        "meta-llama/Llama-3.2-1B is no file or folder here; if it is a model on Hugging Face, download it with: "
        "huggingface-cli download meta-llama/Llama-3.2-1B --local-dir Llama-3.2-1B");
  CHECK(refusal(folder.path + "/none/at/all").ends_with("/none/at/all: there is no such file or folder"));
  CHECK(refusal("models/x.gguf") == "models/x.gguf: there is no such file or folder");
  CHECK(refusal("") == ": there is no such file or folder");
  CHECK(refusal(folder.path) == folder.path + ": has no config.json");
  folder.write("a.gguf", "");
  CHECK(refusal(folder.path) ==
        folder.path + ": has no config.json; name its GGUF file itself: " + folder.path + "/a.gguf");
  folder.write("config.json", "{}");
  CHECK(refusal(folder.path) == folder.path + ": has no .safetensors file");
  folder.write("pytorch_model.bin", "");
  CHECK(refusal(folder.path).find("only pickled weights, which are not read") != std::string::npos);
  folder.write("a.safetensors", "");
  folder.write("b.safetensors", "");
  CHECK(refusal(folder.path).find("has 2 .safetensors files (a.safetensors, b.safetensors) and neither") !=
        std::string::npos);
  folder.write("config.json", "{");
  CHECK(refusal(folder.path) == folder.path + "/config.json:1: the JSON ends too early");
  CHECK(refusal(folder.path + "/pytorch_model.bin").find("is no model that can be read") != std::string::npos);
}

TEST_CASE("weights beyond the budget are refused with both figures") {
  Folder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors", safetensors(kTensor, "abcd"));
  auto checkpoint = open_checkpoint(folder.path, {});
  REQUIRE(checkpoint.ok());
  CHECK(check_budget(*checkpoint->weights, "m", 4).ok());
  const Status status = check_budget(*checkpoint->weights, "m", 3);
  CHECK(status.code() == Code::exhausted);
  CHECK(status.message() == "m: its weights take 4 bytes (4 B), the memory budget is 3 bytes (3 B)");
}

TEST_CASE("the golden folders open, the sharded one with all of its tensors") {
  for (const char* model : {"llama-plain", "llama-sharded", "llama-f16", "llama-plain-f32", "gemma3-plain"}) {
    auto checkpoint = open_checkpoint(kGolden + model, {});
    REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
    const DType expected = std::string_view(model) == "llama-f16"         ? DType::f16
                           : std::string_view(model) == "llama-plain-f32" ? DType::f32
                                                                          : DType::bf16;
    CHECK(checkpoint->dtype == expected);
  }
  auto sharded = open_checkpoint(kGolden + "llama-sharded", {});
  CHECK(presented_bytes(*sharded->weights) == 205440);  // the index's total_size
}

}  // namespace
