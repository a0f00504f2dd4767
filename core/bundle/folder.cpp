// A Hugging Face folder as it is: config.json, tokenizer files, safetensors with or without an index.
#include <dirent.h>

#include <algorithm>
#include <filesystem>

#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/printable.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/bundle/safetensors.hpp"
#include "core/config/model_config.hpp"

namespace tare {
namespace {

constexpr int64_t kMostConfigBytes = 16 << 20, kMostTokenizerBytes = 512 << 20;

// The regular files of a folder (links followed), in order of name.
std::vector<std::string> files_of(const std::string& folder, std::string_view ending) {
  std::vector<std::string> names;
  DIR* stream = ::opendir(folder.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string name = entry->d_name;
    if (name.ends_with(ending) && is_file(join_path(folder, name))) names.push_back(name);
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

// Empty when the file is absent.
Result<std::string> optional_file(const std::string& folder, std::string_view name, int64_t most) {
  const std::string path = join_path(folder, name);
  if (!is_file(path)) return std::string();
  return read_file(path, most);
}

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

Status read_text(const std::string& folder, Checkpoint* checkpoint) {
  TextSource& text_source = checkpoint->text;
  text_source.name = checkpoint->name;
  text_source.config_json = checkpoint->config_json;
  TARE_ASSIGN_OR_RETURN(text_source.tokenizer_json, optional_file(folder, "tokenizer.json", kMostTokenizerBytes));
  TARE_ASSIGN_OR_RETURN(text_source.tokenizer_config_json,
                        optional_file(folder, "tokenizer_config.json", kMostTokenizerBytes));
  TARE_ASSIGN_OR_RETURN(text_source.special_tokens_map_json,
                        optional_file(folder, "special_tokens_map.json", kMostConfigBytes));
  TARE_ASSIGN_OR_RETURN(text_source.generation_config_json,
                        optional_file(folder, "generation_config.json", kMostConfigBytes));
  TARE_ASSIGN_OR_RETURN(text_source.chat_template, optional_file(folder, "chat_template.jinja", kMostConfigBytes));
  if (text_source.chat_template.empty()) {
    TARE_ASSIGN_OR_RETURN(const std::string json, optional_file(folder, "chat_template.json", kMostConfigBytes));
    TemplateReader reader;
    if (!json.empty()) TARE_RETURN_IF_ERROR(read_json(json, join_path(folder, "chat_template.json"), {}, reader));
    text_source.chat_template = std::move(reader.found);
  }
  if (text_source.tokenizer_json.empty())
    checkpoint->notes.push_back(is_file(join_path(folder, "tokenizer.model"))
                                    ? "there is no tokenizer.json: tokenizer.model alone is not read, save the "
                                      "tokenizer as tokenizer.json with "
                                      "Transformers"
                                    : "there is no tokenizer.json: the model takes token ids only");
  return {};
}

Result<std::unique_ptr<WeightSource>> open_weights(const std::string& folder) {
  const std::string index = join_path(folder, "model.safetensors.index.json");
  if (is_file(index)) return open_safetensors_index(index);
  std::vector<std::string> names = files_of(folder, ".safetensors");
  if (std::find(names.begin(), names.end(), "model.safetensors") != names.end()) names = {"model.safetensors"};
  if (names.empty()) {
    const bool pickled =
        !files_of(folder, ".bin").empty() || !files_of(folder, ".pt").empty() || !files_of(folder, ".pth").empty();
    return failure(Code::not_found, folder, ": has no .safetensors file",
                   pickled ? ", only pickled weights, which are not read: save the model with Transformers' "
                             "save_pretrained"
                           : "");
  }
  if (names.size() > 1)
    return invalid(folder, ": has ", names.size(), " .safetensors files (", names[0], ", ", names[1],
                   names.size() > 2 ? ", ..." : "", ") and neither model.safetensors nor model.safetensors.index.json");
  const std::string path = join_path(folder, names[0]);
  return open_safetensors(std::span(&path, 1));
}

void note_weights(Checkpoint* checkpoint) {
  int64_t unread = 0;
  std::string example;
  for (const StoredTensor& info : checkpoint->weights->tensors())
    if (!info.dtype && unread++ == 0) example = to_string(info);
  if (unread > 0)
    checkpoint->notes.push_back(text(unread, unread == 1 ? " tensor is" : " tensors are",
                                     " stored in a type that cannot be read, such as ", example));
}

}  // namespace

Result<Checkpoint> open_folder(const std::string& path, const CheckpointOptions& options) {
  const bool single = !is_folder(path);
  const std::string folder = single ? folder_name(path) : path;
  const std::string config_path = join_path(folder, "config.json");
  Checkpoint checkpoint;
  checkpoint.path = path;
  std::error_code no_matter;
  checkpoint.name = std::filesystem::canonical(folder, no_matter).filename().string();  // "." has a name too
  if (!is_file(config_path)) {
    const auto ggufs = files_of(folder, ".gguf");
    return failure(Code::not_found, folder, ": has no config.json",
                   ggufs.empty() ? std::string() : text("; name its GGUF file itself: ", join_path(folder, ggufs[0])));
  }
  TARE_ASSIGN_OR_RETURN(checkpoint.config_json, read_file(config_path, kMostConfigBytes));
  TARE_ASSIGN_OR_RETURN(checkpoint.config, parse_model_config(checkpoint.config_json, config_path));
  TARE_RETURN_IF_ERROR(read_text(folder, &checkpoint));
  if (!options.weights) return checkpoint;
  if (single) {
    TARE_ASSIGN_OR_RETURN(checkpoint.weights, open_safetensors(std::span(&path, 1)));
  } else {
    TARE_ASSIGN_OR_RETURN(checkpoint.weights, open_weights(folder));
  }
  checkpoint.dtype = main_dtype(*checkpoint.weights);
  note_weights(&checkpoint);
  return checkpoint;
}

}  // namespace tare
