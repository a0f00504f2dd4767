#include "plugins/norm/norm.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) {
  for (auto& candidate : norm::candidates()) registrar.add_kernel(std::move(candidate));
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.norm", "0.1.0", tare::register_plugin)
