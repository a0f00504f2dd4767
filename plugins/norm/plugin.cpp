#include "plugins/norm/norm.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) noexcept {
  registrar.add_kernel(cpu_kernel<Norm>({.id = "norm.cpu", .numerics = "lanes16", .run = norm::fast}));
  registrar.add_kernel(cpu_kernel<Norm>(
      {.id = "norm.cpu_reference", .numerics = "sequential-f64", .run = norm::reference, .reference = true}));
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.norm", "0.1.0", tare::register_plugin)
