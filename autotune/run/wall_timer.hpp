// The wall's clock as a LaunchTimer: right for devices that run a launch in the caller's own time. [one thread]
#pragma once
#include <chrono>

#include "autotune/launch_timer.hpp"

namespace tare {

class WallTimer final : public LaunchTimer {
 public:
  Status run(Stream& stream, const std::function<Status()>& launch) override {
    const auto start = std::chrono::steady_clock::now();
    TARE_RETURN_IF_ERROR(launch());
    TARE_RETURN_IF_ERROR(stream.synchronize());
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return {};
  }
  double now() override { return seconds_; }

 private:
  double seconds_ = 0;
};

// The device's own timer, or the wall's clock where it has none.
inline LaunchTimer& timer_of(Device& device, WallTimer& wall) {
  auto* own = static_cast<LaunchTimer*>(device.query(LaunchTimer::kInterface));
  return own != nullptr ? *own : wall;
}

}  // namespace tare
