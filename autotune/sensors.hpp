// DeviceSensors: clock, power and temperature as the driver reads them, beside figures. A device whose driver has them
// offers "sensors/1" (Device::query). [one thread]
#pragma once
#include <string_view>

namespace tare {

// 0: not known.
struct SensorReading {
  double megahertz = 0, watts = 0, celsius = 0;
  double joules = 0;  // drawn so far, of a counter that starts anywhere
};
class DeviceSensors {
 public:
  static constexpr std::string_view kInterface = "sensors/1";
  virtual ~DeviceSensors() = default;
  virtual SensorReading read() = 0;
};

}  // namespace tare
