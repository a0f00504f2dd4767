// The text plugin's door.
#include "core/api/plugin.hpp"
#include "plugins/text/service.hpp"

namespace {

tare::Status register_plugin(tare::Registrar& registrar) noexcept {
  registrar.add_text(tare::text_plugin::make_text_service());
  return {};
}

}  // namespace

TARE_PLUGIN("org.tare.text", "0.1.0", register_plugin)
