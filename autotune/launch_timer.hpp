// LaunchTimer: how long launches take, as a device knows best. The CPU is timed by the wall; a device whose launches
// run apart from the host offers its own under "launch_timer/1" (Device::query). [one thread]
#pragma once
#include <functional>
#include <string_view>

#include "core/api/device.hpp"

namespace tare {

class LaunchTimer {
 public:
  static constexpr std::string_view kInterface = "launch_timer/1";
  virtual ~LaunchTimer() = default;
  // Runs `launch`, which puts work on `stream`, and waits until that work is done.
  virtual Status run(Stream& stream, const std::function<Status()>& launch) = 0;
  // Seconds so far: the difference before and after run() is what the launch took.
  virtual double now() = 0;
};

}  // namespace tare
