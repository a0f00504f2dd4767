// One NVIDIA GPU as a Device, with cuda_launch/1 and, given a compiler, tile_decoder/1. [any thread]; a stream by one
// thread at a time.
#pragma once
#include <memory>

#include "core/api/device.hpp"
#include "jit/jit.hpp"
#include "plugins/device_cuda/driver.hpp"

namespace tare::cuda {

// What the driver says about a GPU, without creating a context on it.
Result<DeviceInfo> describe(const Driver& driver, int ordinal);

// Opens GPU `ordinal`. memory_bytes: budget for allocations, 0: all that is free now. jit: knows the sources of
// cuda_codec_bundle() and outlives the device; null: the device decodes no tiles.
Result<std::unique_ptr<Device>> open_device(std::shared_ptr<const Driver> driver, int ordinal, int64_t memory_bytes,
                                            jit::Jit* jit = nullptr);

// "NVIDIA H100 80GB HBM3" -> "nvidia-h100-80gb-hbm3"; the shipped names of known GPUs: "nvidia-h100-sxm",
// "nvidia-h200".
std::string sku_slug(std::string_view name);

}  // namespace tare::cuda
