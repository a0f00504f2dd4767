#include "plugins/device_cuda/sensors.hpp"

#include <dlfcn.h>

namespace tare::cuda {
namespace {

using NvmlDevice = struct NvmlDeviceOpaque*;
constexpr int kSmClock = 1, kGpuTemperature = 0;

#define TARE_NVML_SYMBOLS(X)                                      \
  X(nvmlInit_v2, ())                                              \
  X(nvmlShutdown, ())                                             \
  X(nvmlDeviceGetHandleByPciBusId_v2, (const char*, NvmlDevice*)) \
  X(nvmlDeviceGetClockInfo, (NvmlDevice, int, unsigned*))         \
  X(nvmlDeviceGetPowerUsage, (NvmlDevice, unsigned*))             \
  X(nvmlDeviceGetTemperature, (NvmlDevice, int, unsigned*))       \
  X(nvmlDeviceGetTotalEnergyConsumption, (NvmlDevice, unsigned long long*))

struct Table {
#define TARE_DECLARE(name, parameters) int(*name) parameters = nullptr;
  TARE_NVML_SYMBOLS(TARE_DECLARE)
#undef TARE_DECLARE
};

class NvmlSensors final : public DeviceSensors {
 public:
  NvmlSensors(void* library, const Table& table, NvmlDevice device)
      : library_(library), table_(table), device_(device) {}
  ~NvmlSensors() override {
    table_.nvmlShutdown();
    dlclose(library_);
  }
  SensorReading read() override {
    SensorReading out;
    unsigned value = 0;
    unsigned long long millijoules = 0;
    if (table_.nvmlDeviceGetClockInfo(device_, kSmClock, &value) == 0) out.megahertz = value;
    if (table_.nvmlDeviceGetPowerUsage(device_, &value) == 0) out.watts = value / 1000.0;
    if (table_.nvmlDeviceGetTemperature(device_, kGpuTemperature, &value) == 0) out.celsius = value;
    if (table_.nvmlDeviceGetTotalEnergyConsumption(device_, &millijoules) == 0)
      out.joules = static_cast<double>(millijoules) / 1000;
    return out;
  }

 private:
  void* const library_;
  const Table table_;
  const NvmlDevice device_;
};

}  // namespace

std::unique_ptr<DeviceSensors> open_sensors(const std::string& bus_id, const std::string& path) {
  void* const library = dlopen(path.empty() ? "libnvidia-ml.so.1" : path.c_str(), RTLD_NOW);
  if (library == nullptr) return nullptr;
  Table table;
  bool whole = true;
#define TARE_RESOLVE(name, parameters)                                        \
  table.name = reinterpret_cast<decltype(table.name)>(dlsym(library, #name)); \
  whole = whole && table.name != nullptr;
  TARE_NVML_SYMBOLS(TARE_RESOLVE)
#undef TARE_RESOLVE
  NvmlDevice device = nullptr;
  if (!whole || table.nvmlInit_v2() != 0) {
    dlclose(library);
    return nullptr;
  }
  if (table.nvmlDeviceGetHandleByPciBusId_v2(bus_id.c_str(), &device) != 0) {
    table.nvmlShutdown();
    dlclose(library);
    return nullptr;
  }
  return std::make_unique<NvmlSensors>(library, table, device);
}

}  // namespace tare::cuda
