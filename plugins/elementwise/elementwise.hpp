// Ops whose results depend on one element of each input: add, scale, soft_cap, gated, activate; and the copies concat
// and logit_rows. No sums, so a row's bits cannot depend on the batch. [any thread]
#pragma once
#include <memory>
#include <vector>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare::elementwise {

std::vector<std::unique_ptr<KernelCandidate>> fast_candidates();       // add.cpu, scale.cpu ..
std::vector<std::unique_ptr<KernelCandidate>> reference_candidates();  // the oracles, in the same order
std::vector<std::unique_ptr<KernelCandidate>> copy_candidates();       // concat.cpu, logit_rows.cpu

// Every tensor is BF16 or F32, and there are `inputs` of them and one result.
inline Verdict floats_only(const Problem& problem, size_t inputs) {
  const ProblemOp& p = problem.first();
  if (p.inputs.size() != inputs || p.results.size() != 1)
    return Verdict::no(p.inputs.size(), " inputs and ", p.results.size(), " results, expected ", inputs, " and 1");
  for (const auto* side : {&p.inputs, &p.results})
    for (const TensorInfo& t : *side)
      if (t.dtype != DType::bf16 && t.dtype != DType::f32)
        return Verdict::no("a tensor is ", name(t.dtype), ", expected bf16 or f32");
  return Verdict::yes();
}

}  // namespace tare::elementwise
