// Numbers that a device's plugin makes and compares on the device itself, for those who measure. [loader]
#pragma once
#include <memory>

#include "autotune/linear_lab.hpp"
#include "core/app/host.hpp"

namespace tare {

// Null: no plugin does it for this device, the host does.
std::unique_ptr<DeviceData> device_data(const Host& host, Device& device);

}  // namespace tare
