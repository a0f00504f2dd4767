#include "core/api/plugin.hpp"
#include "plugins/sampling/kernel.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) noexcept {
  registrar.add_kernel(sampling::fast_kernel());
  registrar.add_kernel(sampling::reference_kernel());
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.sampling", "0.1.0", tare::register_plugin)
