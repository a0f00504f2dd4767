// One NVIDIA GPU as a Device, with cuda_launch/1. [any thread]; a stream by one thread at a time.
#pragma once
#include <memory>

#include "core/api/device.hpp"
#include "plugins/device_cuda/driver.hpp"

namespace tare::cuda {

// What the driver says about a GPU, without creating a context on it.
Result<DeviceInfo> describe(const Driver& driver, int ordinal);

// Opens GPU `ordinal`. memory_bytes: budget for allocations, 0: all that is free now.
Result<std::unique_ptr<Device>> open_device(std::shared_ptr<const Driver> driver, int ordinal, int64_t memory_bytes);

// "NVIDIA H100 80GB HBM3" -> "nvidia-h100-80gb-hbm3"; the shipped names of known GPUs: "nvidia-h100-sxm",
// "nvidia-h200".
std::string sku_slug(std::string_view name);

}  // namespace tare::cuda
