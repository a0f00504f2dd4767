// A recorded tokenizer (tests/golden/text/make_tokenizers.py) as both of its sources, and its cases. Tests only.
#pragma once
#include <string>
#include <vector>

#include "core/api/text.hpp"

namespace tare::text_test {

struct TokenizerCase {
  std::string text, decoded, decoded_skipping;
  std::vector<int32_t> ids, with_special, as_text;
};
struct RecordedTokenizer {
  TextSource json, gguf;
  std::vector<TokenizerCase> cases;
};

extern const std::vector<std::string> kRecordedTokenizers;
RecordedTokenizer read_tokenizer(const std::string& name);
bool is_valid_utf8(std::string_view text);

}  // namespace tare::text_test
