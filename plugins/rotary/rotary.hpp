// rotary/1 on the CPU. Angles are position·frequency in f32, as the definition has it; cosines and sines are the C
// library's in both kernels, and nothing is summed in more than one order, so both give the same bits. [any thread]
#pragma once
#include <memory>
#include <vector>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare::rotary {

Status reference(const CpuCall<Rotary>& call);               // the oracle
Verdict supports(const Rotary& op, const Problem& problem);  // what either can do
std::unique_ptr<KernelCandidate> fast_candidate();           // rotary.cpu
std::vector<std::unique_ptr<KernelCandidate>> candidates();  // best first, the oracle last

}  // namespace tare::rotary
