#include "plugins/attention/attention.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) {
  for (auto& candidate : attention::candidates()) registrar.add_kernel(std::move(candidate));
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.attention", "0.1.0", tare::register_plugin)
