#include "core/bundle/folder_text.hpp"

#include "core/base/json.hpp"
#include "core/bundle/gguf_head.hpp"
#include "core/bundle/gguf_vocabulary.hpp"
#include "core/config/model_config.hpp"

namespace tare {
namespace {

constexpr int64_t kMostConfigBytes = 16 << 20, kMostTokenizerBytes = 512 << 20;

// {"chat_template": "..."}: how processors of multimodal models keep it.
class TemplateReader final : public JsonEvents {
 public:
  std::string found;
  Status begin_object() override { return ++depth_, Status(); }
  Status end_object() override { return --depth_, Status(); }
  Status begin_array() override { return ++depth_, Status(); }
  Status end_array() override { return --depth_, Status(); }
  Status key(std::string_view name) override { return wanted_ = depth_ == 1 && name == "chat_template", Status(); }
  Status string(std::string_view value) override {
    if (wanted_ && depth_ == 1) found = value;
    return {};
  }
  Status number(std::string_view) override { return {}; }
  Status boolean(bool) override { return {}; }
  Status null() override { return {}; }

 private:
  int depth_ = 0;
  bool wanted_ = false;
};

}  // namespace

Status read_text_files(const TextFiles& files, Checkpoint* checkpoint) {
  TARE_ASSIGN_OR_RETURN(checkpoint->config_json, files.read("config.json", kMostConfigBytes));
  TARE_ASSIGN_OR_RETURN(checkpoint->config, parse_model_config(checkpoint->config_json, files.place("config.json")));
  TextSource& text = checkpoint->text;
  text.name = checkpoint->name;
  text.config_json = checkpoint->config_json;
  TARE_ASSIGN_OR_RETURN(text.tokenizer_json, files.read("tokenizer.json", kMostTokenizerBytes));
  TARE_ASSIGN_OR_RETURN(text.tokenizer_config_json, files.read("tokenizer_config.json", kMostTokenizerBytes));
  TARE_ASSIGN_OR_RETURN(text.special_tokens_map_json, files.read("special_tokens_map.json", kMostConfigBytes));
  TARE_ASSIGN_OR_RETURN(text.generation_config_json, files.read("generation_config.json", kMostConfigBytes));
  TARE_ASSIGN_OR_RETURN(text.chat_template, files.read("chat_template.jinja", kMostConfigBytes));
  if (text.chat_template.empty()) {
    TARE_ASSIGN_OR_RETURN(const std::string json, files.read("chat_template.json", kMostConfigBytes));
    TemplateReader reader;
    if (!json.empty()) TARE_RETURN_IF_ERROR(read_json(json, files.place("chat_template.json"), {}, reader));
    text.chat_template = std::move(reader.found);
  }
  if (!text.tokenizer_json.empty()) return {};
  if (files.has(kGgufTokenizerFile)) {  // what packing a GGUF leaves
    TARE_ASSIGN_OR_RETURN(auto file, files.open(kGgufTokenizerFile));
    TARE_ASSIGN_OR_RETURN(const GgufFile gguf, read_gguf(std::move(file)));
    TARE_ASSIGN_OR_RETURN(text.gguf, gguf_vocabulary(gguf));
    return {};
  }
  checkpoint->notes.push_back(files.has("tokenizer.model")
                                  ? "there is no tokenizer.json: tokenizer.model alone is not read, save the tokenizer "
                                    "as tokenizer.json with Transformers"
                                  : "there is no tokenizer.json: the model takes token ids only");
  return {};
}

void note_unread(const WeightSource& weights, std::vector<std::string>* notes) {
  int64_t unread = 0;
  std::string example;
  for (const StoredTensor& info : weights.tensors())
    if (!info.dtype && unread++ == 0) example = to_string(info);
  if (unread > 0)
    notes->push_back(tare::text(unread, unread == 1 ? " tensor is" : " tensors are",
                                " stored in a type that cannot be read, such as ", example));
}

}  // namespace tare
