#include "core/bundle/checkpoint.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/file.hpp"
#include "core/base/printable.hpp"
#include "core/bundle/tare_format.hpp"

namespace tare {
namespace {

// "org/model" as a Hugging Face hub names repositories.
bool is_hub_name(std::string_view name) {
  const size_t slash = name.find('/');
  if (slash == 0 || slash == name.npos || slash + 1 == name.size() || name.find('/', slash + 1) != name.npos)
    return false;
  const auto first = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return first(name[0]) && first(name[slash + 1]) && std::all_of(name.begin(), name.end(), [&](char c) {
           return first(c) || c == '/' || c == '-' || c == '_' || c == '.';
         });
}

// A bundle is one whatever it is called.
bool begins_as_tare(const std::string& path) {
  const auto file = File::open(path);
  std::string magic(kTareMagic.size(), '\0');
  return file.ok() && (*file)->bytes() >= kTarePage &&
         (*file)->read(0, std::as_writable_bytes(std::span(magic))).ok() && magic == kTareMagic;
}

}  // namespace

DType main_dtype(const WeightSource& weights) noexcept {
  std::array<int64_t, 6> elements{};
  for (const StoredTensor& info : weights.tensors())
    if (info.dtype && info.shape.size() >= 2) elements[static_cast<size_t>(*info.dtype)] += info.elements();
  const auto most = std::max_element(elements.begin(), elements.begin() + 3);  // BF16, F16, F32
  return *most == 0 ? DType::bf16 : static_cast<DType>(most - elements.begin());
}

Result<Checkpoint> open_checkpoint(const std::string& path, std::span<const ModelFamily* const> families,
                                   const CheckpointOptions& options) {
  if (is_folder(path)) return open_folder(path, options);
  if (is_file(path)) {
    if (path.ends_with(".gguf")) return open_gguf(path, families, options);
    if (path.ends_with(".safetensors")) return open_folder(path, options);
    if (path.ends_with(".tare") || begins_as_tare(path)) return open_tare(path, options);
    return invalid(printable(path, 200), ": is no model that can be read, expected a folder with config.json, a ",
                   ".safetensors file beside one, a .gguf file, or a .tare bundle");
  }
  if (is_hub_name(path) && !path.ends_with(".gguf") && !path.ends_with(".safetensors") && !path.ends_with(".tare"))
    return failure(Code::not_found, path,
                   " is no file or folder here; if it is a model on Hugging Face, download it with: ",
                   "huggingface-cli download ", path, " --local-dir ", path.substr(path.find('/') + 1));
  return failure(Code::not_found, printable(path, 200), ": there is no such file or folder");
}

}  // namespace tare
