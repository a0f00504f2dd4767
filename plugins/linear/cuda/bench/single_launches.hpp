// Single launches of kernels, for a profiler to look at. One thread.
#pragma once
#include "autotune/linear_lab.hpp"
#include "plugins/linear/cuda/bench/layer.hpp"

namespace tare::linear_cuda::bench {

// Each of request.launches once, without dependent launch, on one copy of its matrix. `vendor`: opened, or null. Throws
// Lost: a launch that names no product, number of rows or kernel.
void launch_once(const LinearBenchRequest& request, Lab& lab, VendorProducts* vendor, const DeviceInfo& info);

}  // namespace tare::linear_cuda::bench
