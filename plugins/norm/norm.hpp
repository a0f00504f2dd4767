// norm/1 on the CPU: rows are independent, each by itself in one order, so bits never depend on the batch. [any thread]
#pragma once
#include <memory>
#include <vector>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare::norm {

Status reference(const CpuCall<Norm>& call);                 // the oracle: sums in order, in double
Verdict supports(const Norm& op, const Problem& problem);    // what either can do
std::unique_ptr<KernelCandidate> fast_candidate();           // norm.cpu: 16 partial sums in fixed places
std::vector<std::unique_ptr<KernelCandidate>> candidates();  // best first, the oracle last

}  // namespace tare::norm
