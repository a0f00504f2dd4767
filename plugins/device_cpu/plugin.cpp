#include "core/api/plugin.hpp"
#include "plugins/device_cpu/cpu_device.hpp"

namespace {
tare::Status register_plugin(tare::Registrar& registrar) noexcept {
  registrar.add_device(tare::cpu::make_cpu_provider());
  return {};
}
}  // namespace

TARE_PLUGIN("tare.device_cpu", "0.1.0", register_plugin)
