// The model's operations on CUDA as candidates: one simple kernel each. [loader]
#pragma once
#include <memory>
#include <vector>

#include "core/api/kernel.hpp"
#include "jit/jit.hpp"

namespace tare::cuda_ops {

// norm, rotary, attention, gated, activate, add, scale, soft_cap, concat, logit_rows. `jit` outlives them and knows
// cuda_ops_bundle().
std::vector<std::unique_ptr<KernelCandidate>> candidates(jit::Jit& jit);

std::unique_ptr<KernelCandidate> attention_candidate(jit::Jit& jit);
std::vector<std::unique_ptr<KernelCandidate>> elementwise_candidates(jit::Jit& jit);

}  // namespace tare::cuda_ops
