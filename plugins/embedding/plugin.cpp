#include "plugins/embedding/embedding.hpp"

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) {
  for (auto& candidate : embedding::candidates()) registrar.add_kernel(std::move(candidate));
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.embedding", "0.1.0", tare::register_plugin)
