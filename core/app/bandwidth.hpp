// The rate at which a device's memory can be read: the limit of a decode step.
#pragma once
#include "core/api/device.hpp"

namespace tare {

// Bytes per second, the best of several passes over a buffer that no cache holds, with all of the device's threads.
// 0 when the device's memory cannot be read by the host.
double read_bandwidth(Device& device);

}  // namespace tare
