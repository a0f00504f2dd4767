// Finds and opens NVIDIA GPUs: "cuda:0", "cuda:1", .... Creating it touches nothing. [any thread]
#pragma once
#include <memory>
#include <string>

#include "core/api/device.hpp"
#include "jit/jit.hpp"

namespace tare::cuda {
// driver_library: a path to open instead of the system's driver, for tests. jit: as open_device has it.
std::unique_ptr<DeviceProvider> make_provider(std::string driver_library = {}, jit::Jit* jit = nullptr);
}  // namespace tare::cuda
