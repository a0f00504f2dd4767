#include "tests/unit/text/tokenizer_cases.hpp"

#include <boost/json.hpp>

#include "tests/unit/text/golden_cases.hpp"

namespace tare::text_test {
namespace json = boost::json;

const std::vector<std::string> kRecordedTokenizers = {"llama-bpe",   "qwen2",     "gpt-2",     "smollm",
                                                      "falcon",      "tekken",    "command-r", "deepseek-coder",
                                                      "deepseek-v3", "spm-llama", "spm-gemma", "spm-no-bytes"};

RecordedTokenizer read_tokenizer(const std::string& name) {
  const json::value file = json::parse(read_file(golden_path("tokenizers/" + name + ".json")));
  RecordedTokenizer out;
  out.json.name = name + " (tokenizer.json)";
  out.json.tokenizer_json = json::serialize(file.at("tokenizer_json"));
  out.json.tokenizer_config_json = json::serialize(file.at("tokenizer_config"));
  out.gguf.name = name + " (GGUF)";
  const json::object& from = file.at("gguf").as_object();
  GgufVocabulary& to = out.gguf.gguf.emplace();
  to.model = json::value_to<std::string>(from.at("model"));
  to.pre = json::value_to<std::string>(from.at("pre"));
  to.tokens = json::value_to<std::vector<std::string>>(from.at("tokens"));
  to.scores = json::value_to<std::vector<float>>(from.at("scores"));
  to.types = json::value_to<std::vector<int32_t>>(from.at("types"));
  to.merges = json::value_to<std::vector<std::string>>(from.at("merges"));
  to.bos = json::value_to<int32_t>(from.at("bos")), to.eos = json::value_to<int32_t>(from.at("eos"));
  to.unknown = json::value_to<int32_t>(from.at("unknown")), to.padding = json::value_to<int32_t>(from.at("padding"));
  if (const json::value* flag = from.if_contains("add_bos")) to.add_bos = flag->as_bool();
  if (const json::value* flag = from.if_contains("add_space_prefix")) to.add_space_prefix = flag->as_bool();
  for (const json::value& c : file.at("cases").as_array()) {
    out.cases.push_back({json::value_to<std::string>(c.at("text")), json::value_to<std::string>(c.at("decoded")),
                         json::value_to<std::string>(c.at("decoded_skipping")),
                         json::value_to<std::vector<int32_t>>(c.at("ids")),
                         json::value_to<std::vector<int32_t>>(c.at("with_special")),
                         json::value_to<std::vector<int32_t>>(c.at("as_text"))});
  }
  return out;
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t size = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 0;
    if (size == 0 || i + size > text.size()) return false;
    for (size_t k = 1; k < size; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    i += size;
  }
  return true;
}

}  // namespace tare::text_test
