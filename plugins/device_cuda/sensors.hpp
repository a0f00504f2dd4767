// Clock, power, temperature and energy of a GPU from the driver's management library (NVML), which is opened at run
// time and may be missing. [one thread]
#pragma once
#include <memory>
#include <string>

#include "autotune/sensors.hpp"

namespace tare::cuda {

// bus_id: as the driver prints it, "0000:18:00.0". Null where there is no library, or where it does not know the GPU.
// library: a path to open instead, for tests.
std::unique_ptr<DeviceSensors> open_sensors(const std::string& bus_id, const std::string& library = {});

}  // namespace tare::cuda
