// sample/1 on the CPU: the kernels that the plugin registers. A header of its own, so that tests and benchmarks can run
// them without the plugin door. [loader]
#pragma once
#include <memory>

#include "core/api/kernel.hpp"

namespace tare::sampling {

std::unique_ptr<KernelCandidate> fast_kernel();       // "sample.cpu"
std::unique_ptr<KernelCandidate> reference_kernel();  // "sample.cpu_reference"

}  // namespace tare::sampling
