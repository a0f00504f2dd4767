// The CUDA device as a plugin.
#include "core/api/plugin.hpp"
#include "plugins/device_cuda/provider.hpp"

namespace {

tare::Status register_plugin(tare::Registrar& registrar) noexcept {
  registrar.add_device(tare::cuda::make_provider());
  return {};
}

}  // namespace

TARE_PLUGIN("tare.device_cuda", "0.1.0", register_plugin)
