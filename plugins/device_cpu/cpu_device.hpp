// The device "cpu": host memory under a ledger, threads through cpu_parallel/1, streams that have always finished.
#pragma once
#include <memory>

#include "core/api/device.hpp"

namespace tare::cpu {

// Finds the one device "cpu" and opens it with its own threads, ledger and budget (default: 90 % of the memory that the
// process may use).
std::unique_ptr<DeviceProvider> make_cpu_provider();

}  // namespace tare::cpu
