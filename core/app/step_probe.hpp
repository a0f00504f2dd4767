// How long the parts of a step take that no tuning measures: attention, norms and whatever else is no product. They are
// launched on the device as a step launches them, on made-up numbers, without a weight being read. [one thread]
#pragma once
#include <vector>

#include "core/api/device.hpp"
#include "core/app/step_case.hpp"

namespace tare {

// Seconds by step of the plan; 0: not measured (products, and what reads a weight of more than kMostProbedWeight bytes,
// but for tables of rows). Of steps that are alike some are launched, each on state of its own. `cold_bytes`: what is
// written between filling the state and reading it, so that no cache holds it. Refused: memory for state and workspace
// that the device has not, a device that reads no host memory.
Result<std::vector<double>> probe_step(Device& device, const Plan& plan, const Program& program,
                                       const Settlement& settlement, const Registry& registry, const StepCase& what,
                                       int64_t cold_bytes);
constexpr int64_t kMostProbedWeight = int64_t{4} << 20;

}  // namespace tare
