// A Hugging Face folder as it is: config.json, tokenizer files, safetensors with or without an index.
#include <dirent.h>

#include <algorithm>
#include <filesystem>

#include "core/base/file.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/bundle/folder_text.hpp"
#include "core/bundle/safetensors.hpp"

namespace tare {
namespace {

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

class FolderFiles final : public TextFiles {
 public:
  explicit FolderFiles(const std::string& folder) : folder_(folder) {}
  bool has(std::string_view name) const override { return is_file(place(name)); }
  Result<std::string> read(std::string_view name, int64_t most) const override {
    return has(name) ? read_file(place(name), most) : Result<std::string>(std::string());
  }
  Result<std::shared_ptr<const File>> open(std::string_view name) const override { return File::open(place(name)); }
  std::string place(std::string_view name) const override { return join_path(folder_, name); }

 private:
  const std::string& folder_;
};

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
  TARE_RETURN_IF_ERROR(read_text_files(FolderFiles(folder), &checkpoint));
  if (!options.weights) return checkpoint;
  if (single) {
    TARE_ASSIGN_OR_RETURN(checkpoint.weights, open_safetensors(std::span(&path, 1)));
  } else {
    TARE_ASSIGN_OR_RETURN(checkpoint.weights, open_weights(folder));
  }
  checkpoint.dtype = main_dtype(*checkpoint.weights);
  note_unread(*checkpoint.weights, &checkpoint.notes);
  return checkpoint;
}

}  // namespace tare
