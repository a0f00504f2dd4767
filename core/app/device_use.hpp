// Who else uses a device: what is measured beside others is wrong. A server that runs on a device holds a mark beside
// the tuning database; on a CPU the time that other processes take is looked at too. [any thread]
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/api/device.hpp"

namespace tare {

// Held while a model is served on a device. Any number of servers may hold it; it ends with the process, however.
class ServingMark {
 public:
  // Null where nothing can be written: a mark is a courtesy, no condition for serving.
  static std::unique_ptr<ServingMark> hold(const std::string& database, const std::string& sku);
  // The process that took the mark last, while any holds it; "" when none does.
  static std::string holder(const std::string& database, const std::string& sku);
  ~ServingMark();
  ServingMark(const ServingMark&) = delete;
  ServingMark& operator=(const ServingMark&) = delete;

 private:
  explicit ServingMark(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// Time since the start, of all cores together, in the kernel's ticks: the first line of /proc/stat (man 5 proc_stat).
struct CpuTimes {
  uint64_t busy = 0, all = 0;  // what a hypervisor took counts as busy
};
std::optional<CpuTimes> parse_cpu_times(std::string_view stat);
// The share of the cores' time that was taken between the two, 0 to 1.
double busy_share(const CpuTimes& before, const CpuTimes& after) noexcept;

// "a server (process 123) runs on it", "other processes take 63 % of the cores"; "" when nobody was seen. Looks at a
// CPU for a quarter of a second, during which this process should rest.
std::string others_on(const DeviceInfo& device, const std::string& database);
// What entries say of who measured them: "tare 0.1.0", "tare 0.1.0, shared device".
std::string provenance(bool shared);

}  // namespace tare
