// How many operations a second a device reaches under one order of sums: a quick measurement, for rooflines.
#pragma once
#include <string_view>

#include "autotune/launch_timer.hpp"
#include "autotune/linear_lab.hpp"
#include "autotune/run/problems.hpp"
#include "core/registry/registry.hpp"

namespace tare {

// The best of a few launches of a BF16 product that is all arithmetic; 0: no kernel runs one.
double peak_operations(Device& device, const DeviceInfo& info, const Registry& registry, std::string_view numerics,
                       LaunchTimer& timer, DeviceData* data = nullptr);
// What a rate of arithmetic is measured on: sizes at one rows point each, smallest first.
std::vector<TuningProblem> peak_problems(const DeviceInfo& info);
// linear/1 of one BF16 matrix.
Problem plain_product(const DeviceInfo& info, int64_t outputs, int64_t inputs, int64_t rows);

}  // namespace tare
