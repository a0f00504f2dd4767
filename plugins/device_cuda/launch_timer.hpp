// GraphTimer: launches on a GPU timed by its own events, as replays of a recorded graph, so that what the host takes to
// launch counts for nothing. What is timed must have run before: kernels may load lazily. [one thread]
#pragma once
#include "autotune/launch_timer.hpp"
#include "jit/cuda_launch.hpp"

namespace tare::cuda {

class GraphTimer final : public LaunchTimer {
 public:
  explicit GraphTimer(jit::CudaLaunch& launcher) : launcher_(launcher) {}
  // Records `launch`, replays it once to have it on the device, and once between two events.
  Status run(Stream& stream, const std::function<Status()>& launch) override;
  double now() override { return seconds_; }

 private:
  jit::CudaLaunch& launcher_;
  double seconds_ = 0;
};

}  // namespace tare::cuda
