// The tokenizer of a GGUF file's metadata. [any thread]
#pragma once
#include <optional>

#include "core/api/text.hpp"
#include "core/bundle/gguf_file.hpp"

namespace tare {

// Nothing when the file has no tokenizer (tokenizer.ggml.model "no_vocab" or absent). Refused: lists whose lengths
// differ, ids outside the vocabulary. Whether the model and the pre-tokeniser are known is the text service's to say.
Result<std::optional<GgufVocabulary>> gguf_vocabulary(const GgufFile& gguf);

}  // namespace tare
