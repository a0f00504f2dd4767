// TextModel and StreamDecoder over the C ABI. Thread rule: see core/api/text.hpp.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/text.hpp"
#include "plugins/text/c_abi.hpp"

namespace tare::text_plugin {

struct CloseModel {
  void operator()(TareTextModel* model) const noexcept { tare_text_close(model); }
};
using ModelHandle = std::unique_ptr<TareTextModel, CloseModel>;

class RustTextModel final : public TextModel {
 public:
  // Opens `source`; a failure names the source and what is wrong with it.
  static Result<std::unique_ptr<TextModel>> open(const TextSource& source);

  int32_t vocabulary_size() const noexcept override;
  Result<std::vector<int32_t>> encode(std::string_view text, const EncodeOptions& options) const override;
  Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::unique_ptr<StreamDecoder> stream_decoder(bool skip_special) const override;
  Result<std::string> token_text(int32_t id) const override;
  std::string token_bytes(int32_t id) const override;
  bool is_special(int32_t id) const noexcept override;
  std::optional<int32_t> bos() const noexcept override;
  std::vector<int32_t> stop_ids() const override;
  bool has_template() const noexcept override;
  Result<std::string> render(std::string_view context, const RenderOptions& options) const override;

 private:
  explicit RustTextModel(ModelHandle model) : model_(std::move(model)) {}
  ModelHandle model_;
};

// A template without a model.
Result<std::string> render_template(std::string_view chat_template, std::string_view context,
                                    const RenderOptions& options);

}  // namespace tare::text_plugin
