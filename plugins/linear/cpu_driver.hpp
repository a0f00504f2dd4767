// The driver of every fast CPU product: splits it over threads (over strips of 64 outputs, and over rows where there
// are few strips), packs activations, runs the Multiplier and finishes the sums. Which thread does what changes no bit.
#pragma once
#include <memory>
#include <vector>

#include "core/api/kernel.hpp"
#include "plugins/linear/cpu_finish.hpp"
#include "plugins/linear/cpu_multiply.hpp"
#include "plugins/linear/cpu_problem.hpp"

namespace tare::linear {

// A thread's sums live on its stack: at most this many floats (256 KiB).
constexpr int64_t kMostSums = 65536;
// Does a config fit the driver and the chain?
Verdict fits_driver(const CpuConfig& config, Tail tail) noexcept;

struct DriverParts {
  LinearShape shape;
  CpuConfig config;
  std::unique_ptr<Multiplier> multiplier;
  FinishFunction finish = nullptr;
  std::shared_ptr<const ActivationTable> table;  // gated in BF16; shared by all instances of a candidate
};
// `device` must have cpu_parallel/1.
Result<std::unique_ptr<Instance>> make_driver(Device& device, DriverParts parts);

int64_t driver_scratch_bytes(const Multiplier& multiplier, int64_t rows, int64_t inputs) noexcept;

}  // namespace tare::linear
