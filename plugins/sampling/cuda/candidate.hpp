// sample/1 on CUDA. Greedy rows are chosen on the device; where a row of the step wants more (a draw, penalties, log
// probabilities), the step's logits come to the host and are drawn there by the CPU's own function: the same bits. A
// header of its own, so that tests can run it without the plugin door. [loader]
#pragma once
#include <memory>

#include "core/api/kernel.hpp"
#include "jit/jit.hpp"

namespace tare::jit {
SourceBundle sampling_bundle();
}
namespace tare::sampling {

std::unique_ptr<KernelCandidate> cuda_kernel(jit::Jit& jit);  // "sample.cuda"

}  // namespace tare::sampling
