// Measures the products of a layer from coded weights against our own kernels on plain weights, through the kernels'
// interface alone: `tare bench linear` on a device without a laboratory of its own (the CPU). One thread.
#pragma once
#include "autotune/linear_lab.hpp"
#include "core/app/host.hpp"

namespace tare {

// Records as linear_records.hpp reads them. Refused: a product that no kernel runs in the code.
Status bench_linear_layer(const Host& host, Device& device, const DeviceInfo& info, const LinearBenchRequest& request);

}  // namespace tare
