#include "plugins/rotary/rotary.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) {
  for (auto& candidate : rotary::candidates()) registrar.add_kernel(std::move(candidate));
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.rotary", "0.1.0", tare::register_plugin)
