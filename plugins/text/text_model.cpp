#include "plugins/text/text_model.hpp"

#include <cstring>

namespace tare::text_plugin {
namespace {

TareTextSlice slice(std::string_view text) { return {text.data(), text.size()}; }

// Memory of the library, released when it goes out of scope.
struct Buffer : TareTextBuffer {
  Buffer() : TareTextBuffer{} {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { tare_text_buffer_free(this); }
  std::string str() const { return data ? std::string(data, size) : std::string(); }
};
struct Ids : TareTextIds {
  Ids() : TareTextIds{} {}
  Ids(const Ids&) = delete;
  Ids& operator=(const Ids&) = delete;
  ~Ids() { tare_text_ids_free(this); }
  std::vector<int32_t> vector() const {
    return data ? std::vector<int32_t>(data, data + size) : std::vector<int32_t>();
  }
};

Status status(int32_t code, const Buffer& error) {
  return code == 0 ? Status() : Status(static_cast<Code>(code), error.str());
}

std::vector<TareTextSlice> slices(const std::vector<std::string>& texts) {
  std::vector<TareTextSlice> list;
  list.reserve(texts.size());
  for (const std::string& text : texts) list.push_back(slice(text));
  return list;
}

int32_t flag(std::optional<bool> value) { return value ? int32_t{*value} : -1; }

class RustStreamDecoder final : public StreamDecoder {
 public:
  explicit RustStreamDecoder(TareTextStream* stream) : stream_(stream) {}
  std::string push(int32_t id) override {
    if (!stream_ || id < 0) return {};
    Buffer text;
    return tare_text_stream_push(stream_.get(), static_cast<uint32_t>(id), &text) == 0 ? text.str() : std::string();
  }
  std::string finish() override {
    if (!stream_) return {};
    Buffer text;
    return tare_text_stream_finish(stream_.get(), &text) == 0 ? text.str() : std::string();
  }

 private:
  struct Free {
    void operator()(TareTextStream* stream) const noexcept { tare_text_stream_free(stream); }
  };
  std::unique_ptr<TareTextStream, Free> stream_;
};

}  // namespace

Result<std::unique_ptr<TextModel>> RustTextModel::open(const TextSource& source) {
  TareTextVocabulary vocabulary{};
  std::vector<TareTextSlice> tokens, merges;
  if (source.gguf) {
    const GgufVocabulary& gguf = *source.gguf;
    tokens = slices(gguf.tokens), merges = slices(gguf.merges);
    vocabulary = {.model = slice(gguf.model),
                  .pre = slice(gguf.pre),
                  .tokens = tokens.data(),
                  .num_tokens = tokens.size(),
                  .scores = gguf.scores.data(),
                  .num_scores = gguf.scores.size(),
                  .types = gguf.types.data(),
                  .num_types = gguf.types.size(),
                  .merges = merges.data(),
                  .num_merges = merges.size(),
                  .more_eos = gguf.more_eos.data(),
                  .num_more_eos = gguf.more_eos.size(),
                  .bos = gguf.bos,
                  .eos = gguf.eos,
                  .unknown = gguf.unknown,
                  .padding = gguf.padding,
                  .add_bos = flag(gguf.add_bos),
                  .add_eos = flag(gguf.add_eos),
                  .add_space_prefix = flag(gguf.add_space_prefix)};
  }
  const TareTextSource from{.tokenizer_json = slice(source.tokenizer_json),
                            .tokenizer_config_json = slice(source.tokenizer_config_json),
                            .special_tokens_map_json = slice(source.special_tokens_map_json),
                            .generation_config_json = slice(source.generation_config_json),
                            .config_json = slice(source.config_json),
                            .chat_template = slice(source.chat_template),
                            .gguf = source.gguf ? &vocabulary : nullptr};
  TareTextModel* model = nullptr;
  Buffer error;
  Status opened = status(tare_text_open(&from, &model, &error), error);
  if (!opened.ok()) return source.name.empty() ? std::move(opened) : std::move(opened).in(source.name);
  return std::unique_ptr<TextModel>(new RustTextModel(ModelHandle(model)));
}

int32_t RustTextModel::vocabulary_size() const noexcept {
  return static_cast<int32_t>(tare_text_vocabulary_size(model_.get()));
}

Result<std::vector<int32_t>> RustTextModel::encode(std::string_view text, const EncodeOptions& options) const {
  Ids ids;
  Buffer error;
  TARE_RETURN_IF_ERROR(status(
      tare_text_encode(model_.get(), slice(text), options.add_special, options.parse_special, &ids, &error), error));
  return ids.vector();
}

Result<std::string> RustTextModel::decode(std::span<const int32_t> ids, bool skip_special) const {
  // Ids below zero become ones that no vocabulary has; both kinds add nothing.
  const std::vector<uint32_t> list(ids.begin(), ids.end());
  Buffer decoded, error;
  TARE_RETURN_IF_ERROR(
      status(tare_text_decode(model_.get(), list.data(), list.size(), skip_special, &decoded, &error), error));
  return decoded.str();
}

std::unique_ptr<StreamDecoder> RustTextModel::stream_decoder(bool skip_special) const {
  return std::make_unique<RustStreamDecoder>(tare_text_stream_new(model_.get(), skip_special));
}

Result<std::string> RustTextModel::token_text(int32_t id) const {
  TareTextSlice bytes{};
  bool special = false;
  if (id < 0 || !tare_text_token(model_.get(), static_cast<uint32_t>(id), &bytes, &special))
    return failure(Code::not_found, "token id ", id, " has no token; the vocabulary has ids 0 to ",
                   vocabulary_size() - 1);
  return std::string(bytes.data, bytes.size);
}

std::string RustTextModel::token_bytes(int32_t id) const {
  TareTextSlice bytes{};
  bool special = false;
  if (id < 0 || !tare_text_token(model_.get(), static_cast<uint32_t>(id), &bytes, &special)) return {};
  return std::string(bytes.data, bytes.size);
}

bool RustTextModel::is_special(int32_t id) const noexcept {
  TareTextSlice bytes{};
  bool special = false;
  return id >= 0 && tare_text_token(model_.get(), static_cast<uint32_t>(id), &bytes, &special) && special;
}

std::optional<int32_t> RustTextModel::bos() const noexcept {
  const int64_t id = tare_text_bos(model_.get());
  if (id < 0) return std::nullopt;
  return static_cast<int32_t>(id);
}

std::vector<int32_t> RustTextModel::stop_ids() const {
  Ids ids;
  Buffer error;
  return tare_text_stop_ids(model_.get(), &ids, &error) == 0 ? ids.vector() : std::vector<int32_t>();
}

bool RustTextModel::has_template() const noexcept { return tare_text_has_template(model_.get()); }

Result<std::string> RustTextModel::render(std::string_view context, const RenderOptions& options) const {
  Buffer rendered, error;
  TARE_RETURN_IF_ERROR(status(
      tare_text_render(model_.get(), slice(context), options.now ? &*options.now : nullptr, &rendered, &error), error));
  return rendered.str();
}

Result<std::string> render_template(std::string_view chat_template, std::string_view context,
                                    const RenderOptions& options) {
  Buffer rendered, error;
  TARE_RETURN_IF_ERROR(status(tare_text_render_template(slice(chat_template), slice(context),
                                                        options.now ? &*options.now : nullptr, &rendered, &error),
                              error));
  return rendered.str();
}

}  // namespace tare::text_plugin
