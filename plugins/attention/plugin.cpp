#include "plugins/attention/attention.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) noexcept {
  registrar.add_kernel(cpu_kernel<Attention>({.id = "attention.cpu_reference",
                                              .numerics = "sequential-f64",
                                              .run = attention::reference,
                                              .supports = attention::supports,
                                              .reference = true}));
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.attention", "0.1.0", tare::register_plugin)
