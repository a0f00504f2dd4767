// What a device's plugin offers to those who measure: numbers that are made and compared on the device itself, and how
// weights lie there. [loader]
#pragma once
#include <memory>

#include "autotune/linear_lab.hpp"
#include "autotune/run/compile_ahead.hpp"
#include "core/app/host.hpp"

namespace tare {

// Null: no plugin does it for this device, the host does.
std::unique_ptr<DeviceData> device_data(const Host& host, Device& device);
// How weights begin in the layouts of that kind of device; gives nothing where no plugin knows. The host outlives it.
UsualHead usual_head(const Host& host, std::string_view device_kind);

}  // namespace tare
