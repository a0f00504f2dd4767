#include "core/app/device_data.hpp"

namespace tare {

std::unique_ptr<DeviceData> device_data(const Host& host, Device& device) {
  auto* lab = host.plugins().registrations().service<LinearLab>();
  if (lab == nullptr || lab->device_kind() != device.info().kind) return nullptr;
  auto data = lab->data(device);
  if (data.ok()) return std::move(*data);
  host.log().warning(data.status().message());
  return nullptr;
}

UsualHead usual_head(const Host& host, std::string_view device_kind) {
  const auto* lab = host.plugins().registrations().service<LinearLab>();
  if (lab == nullptr || lab->device_kind() != device_kind) return {};
  return [lab](const WeightInfo& info, std::string_view layout) { return lab->usual_head(info, layout); };
}

}  // namespace tare
