#include "core/app/device_use.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include "core/app/version.hpp"
#include "core/base/file.hpp"

namespace tare {
namespace {

constexpr double kBusy = 0.10;  // of all cores: below it figures differ by no more than their own spread
constexpr auto kLook = std::chrono::milliseconds(250);

std::string mark_path(const std::string& database, const std::string& sku) {
  return text(database, ".", sku, ".serving");
}
std::optional<CpuTimes> cpu_times() {
  const auto stat = read_file("/proc/stat", 1 << 20);
  return stat.ok() ? parse_cpu_times(*stat) : std::nullopt;
}

}  // namespace

std::unique_ptr<ServingMark> ServingMark::hold(const std::string& database, const std::string& sku) {
  if (database.empty()) return nullptr;
  const std::string path = mark_path(database, sku);
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return nullptr;
  auto mark = std::unique_ptr<ServingMark>(new ServingMark(descriptor));
  if (::flock(descriptor, LOCK_SH | LOCK_NB) != 0) return nullptr;
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, pid.data(), pid.size(), 0) < 0) return nullptr;
  return mark;
}
std::string ServingMark::holder(const std::string& database, const std::string& sku) {
  if (database.empty()) return "";
  const int descriptor = ::open(mark_path(database, sku).c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return "";
  std::string out;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    char pid[32] = {};
    const auto got = ::pread(descriptor, pid, sizeof pid - 1, 0);
    out = got > 0 ? pid : "unknown";
  }
  ::close(descriptor);
  return out;
}
ServingMark::~ServingMark() { ::close(descriptor_); }

std::optional<CpuTimes> parse_cpu_times(std::string_view stat) {
  if (!stat.starts_with("cpu ")) return std::nullopt;
  stat = stat.substr(4, stat.find('\n') - 4);
  // user nice system idle iowait irq softirq steal; what follows is part of user and nice already.
  CpuTimes out;
  for (int field = 0; field < 8; ++field) {
    stat.remove_prefix(std::min(stat.find_first_not_of(' '), stat.size()));
    uint64_t ticks = 0;
    const auto read = std::from_chars(stat.data(), stat.data() + stat.size(), ticks);
    if (read.ec != std::errc()) return std::nullopt;
    stat.remove_prefix(static_cast<size_t>(read.ptr - stat.data()));
    out.all += ticks;
    if (field != 3 && field != 4) out.busy += ticks;
  }
  return out;
}
double busy_share(const CpuTimes& before, const CpuTimes& after) noexcept {
  if (after.all <= before.all || after.busy < before.busy) return 0;
  return static_cast<double>(after.busy - before.busy) / static_cast<double>(after.all - before.all);
}

std::string provenance(bool shared) { return text("tare ", kVersion, shared ? ", shared device" : ""); }

std::string others_on(const DeviceInfo& device, const std::string& database) {
  if (const std::string pid = ServingMark::holder(database, device.sku); !pid.empty())
    return text("a server (process ", pid, ") runs on it");
  if (device.kind != "cpu") return "";
  const auto before = cpu_times();
  std::this_thread::sleep_for(kLook);
  const auto after = cpu_times();
  const double share = before && after ? busy_share(*before, *after) : 0;
  if (share <= kBusy) return "";
  return text("other processes take ", std::lround(100 * share), " % of the cores");
}

}  // namespace tare
