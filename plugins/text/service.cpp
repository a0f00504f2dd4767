#include "plugins/text/service.hpp"

#include "plugins/text/text_model.hpp"

namespace tare::text_plugin {
namespace {

class RustTextService final : public TextService {
 public:
  RustTextService() { tare_text_start(); }
  Result<std::unique_ptr<TextModel>> open(const TextSource& source) const override {
    return RustTextModel::open(source);
  }
  Result<std::string> render(std::string_view chat_template, std::string_view context,
                             const RenderOptions& options) const override {
    return render_template(chat_template, context, options);
  }
};

}  // namespace

std::unique_ptr<TextService> make_text_service() { return std::make_unique<RustTextService>(); }

}  // namespace tare::text_plugin
