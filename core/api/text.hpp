// The text service: tokenizer, chat template, streaming detokenisation. Implemented by plugins/text. Thread rule: a
// TextModel is const and [any thread]; a StreamDecoder belongs to one thread.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare {

// A vocabulary as GGUF metadata has it (tokenizer.ggml.*).
struct GgufVocabulary {
  std::string model;  // "gpt2" (byte-level BPE), "llama" (SentencePiece)
  std::string pre;    // pre-tokeniser's name: "llama-bpe", "qwen2", "smollm", ...
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;  // 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte
  std::vector<std::string> merges;
  int32_t bos = -1, eos = -1, unknown = -1, padding = -1;
  std::vector<int32_t> more_eos;  // eot, eom: generation stops there too
  std::optional<bool> add_bos, add_eos, add_space_prefix;
};
// What a checkpoint says of its text side. Either `tokenizer_json` or `gguf` is given; other fields may be empty.
struct TextSource {
  std::string name;                     // for messages
  std::string tokenizer_json;           // content of tokenizer.json
  std::string tokenizer_config_json;    // content of tokenizer_config.json
  std::string special_tokens_map_json;  // content of special_tokens_map.json
  std::string generation_config_json;   // content of generation_config.json
  std::string config_json;              // content of config.json: eos_token_id, bos_token_id
  std::string chat_template;            // content of chat_template.jinja, or GGUF's tokenizer.chat_template
  std::optional<GgufVocabulary> gguf;
};

struct EncodeOptions {
  bool add_special = true;    // BOS/EOS as the tokenizer's post-processor has them; BOS is never doubled
  bool parse_special = true;  // "<|im_start|>" in the text becomes its token; false: plain text
};
struct RenderOptions {
  std::optional<int64_t> now;  // seconds since 1970 for strftime_now; absent: the clock
};

// Turns ids into text as they come. Bytes that do not yet form a whole character are kept back.
class StreamDecoder {
 public:
  virtual ~StreamDecoder() = default;
  virtual std::string push(int32_t id) = 0;  // text that is now certain; may be empty
  virtual std::string finish() = 0;          // what was kept back, with U+FFFD for broken bytes
};

class TextModel {
 public:
  virtual ~TextModel() = default;
  virtual int32_t vocabulary_size() const noexcept = 0;  // largest id + 1
  virtual Result<std::vector<int32_t>> encode(std::string_view text, const EncodeOptions& options) const = 0;
  virtual Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const = 0;
  virtual std::unique_ptr<StreamDecoder> stream_decoder(bool skip_special) const = 0;
  // The token as text for logprobs, and its bytes ("<0x0A>" is one byte 10); not found when the id has no token.
  virtual Result<std::string> token_text(int32_t id) const = 0;
  virtual std::string token_bytes(int32_t id) const = 0;
  virtual bool is_special(int32_t id) const noexcept = 0;
  virtual std::optional<int32_t> bos() const noexcept = 0;
  virtual std::vector<int32_t> stop_ids() const = 0;  // eos ids of generation_config, config and tokenizer together
  virtual bool has_template() const noexcept = 0;
  // `context` is a JSON object {"messages": [...], "add_generation_prompt": true, "tools": ..., ...}; special tokens'
  // strings are put in by the text model.
  virtual Result<std::string> render(std::string_view context, const RenderOptions& options) const = 0;
};

// Registered by a plugin; found in the registry by its interface name.
class TextService {
 public:
  static constexpr std::string_view kInterface = "text/1";
  virtual ~TextService() = default;
  virtual Result<std::unique_ptr<TextModel>> open(const TextSource& source) const = 0;
  // A template alone, for `tare template --template FILE`.
  virtual Result<std::string> render(std::string_view chat_template, std::string_view context,
                                     const RenderOptions& options) const = 0;
};

}  // namespace tare
