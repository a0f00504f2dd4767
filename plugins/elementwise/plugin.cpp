#include "plugins/elementwise/elementwise.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) {
  for (auto& candidate : elementwise::fast_candidates()) registrar.add_kernel(std::move(candidate));
  for (auto& candidate : elementwise::reference_candidates()) registrar.add_kernel(std::move(candidate));
  for (auto& candidate : elementwise::copy_candidates()) registrar.add_kernel(std::move(candidate));
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.elementwise", "0.1.0", tare::register_plugin)
