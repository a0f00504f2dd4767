// embed/1 on the CPU: one row of the table for each token, from whatever layout the table lies in. [any thread]
#pragma once
#include <memory>
#include <vector>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare::embedding {

Status reference(const CpuCall<Embed>& call);                // the oracle: a row after the other
Status fast(const CpuCall<Embed>& call);                     // threads over rows
Status check(const CpuCall<Embed>& call);                    // ids within the vocabulary, rows as wide as the table's
std::vector<std::unique_ptr<KernelCandidate>> candidates();  // best first, the oracle last

}  // namespace tare::embedding
