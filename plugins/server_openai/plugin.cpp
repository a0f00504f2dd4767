#include "core/api/plugin.hpp"
#include "plugins/server_openai/service.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) {
  registrar.add_front_end(server::openai_front_end());
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.server_openai", "0.1.0", tare::register_plugin)
