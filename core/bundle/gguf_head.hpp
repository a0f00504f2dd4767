// A GGUF file's metadata without its tensors, as a GGUF file of its own: how a bundle keeps a GGUF's tokenizer.
// [any thread]
#pragma once
#include <string>
#include <string_view>

#include "core/api/status.hpp"

namespace tare {

constexpr std::string_view kGgufTokenizerFile = "tokenizer.gguf";
// `path`: a file that read_gguf accepts.
Result<std::string> gguf_without_tensors(const std::string& path);

}  // namespace tare
