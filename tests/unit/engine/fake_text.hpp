// A text model whose tokens are bytes: token b is byte b (0 to 255), 256 is the end. Characters of several bytes come
// token by token, so text lags behind tokens as it does with real vocabularies.
#pragma once
#include <memory>
#include <string>

#include "core/api/text.hpp"

namespace tare::testing {

class ByteDecoder final : public StreamDecoder {
 public:
  std::string push(int32_t id) override {
    if (id >= 256) return {};
    held_ += static_cast<char>(id);
    const auto lead = static_cast<uint8_t>(held_[0]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (held_.size() < length) return {};
    return std::exchange(held_, {});
  }
  std::string finish() override { return std::exchange(held_, {}).empty() ? "" : "\xef\xbf\xbd"; }

 private:
  std::string held_;
};

class ByteText final : public TextModel {
 public:
  static constexpr int32_t kEnd = 256, kVocabulary = 257;
  int32_t vocabulary_size() const noexcept override { return kVocabulary; }
  Result<std::vector<int32_t>> encode(std::string_view text, const EncodeOptions&) const override {
    std::vector<int32_t> ids;
    for (char c : text) ids.push_back(static_cast<uint8_t>(c));
    return ids;
  }
  Result<std::string> decode(std::span<const int32_t> ids, bool) const override {
    std::string out;
    for (int32_t id : ids) out += static_cast<char>(id);
    return out;
  }
  std::unique_ptr<StreamDecoder> stream_decoder(bool) const override { return std::make_unique<ByteDecoder>(); }
  Result<std::string> token_text(int32_t id) const override { return std::string(1, static_cast<char>(id)); }
  std::string token_bytes(int32_t id) const override { return std::string(1, static_cast<char>(id)); }
  bool is_special(int32_t id) const noexcept override { return id == kEnd; }
  std::optional<int32_t> bos() const noexcept override { return std::nullopt; }
  std::vector<int32_t> stop_ids() const override { return {kEnd}; }
  bool has_template() const noexcept override { return false; }
  Result<std::string> render(std::string_view, const RenderOptions&) const override {
    return Status(Code::unsupported, "no template");
  }
};

}  // namespace tare::testing
