// The table of CPU attention, best first, the oracle last.
#include "plugins/attention/attention.hpp"

namespace tare::attention {

std::vector<std::unique_ptr<KernelCandidate>> candidates() {
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(cpu_kernel<Attention>(
      {.id = "attention.cpu",
       .numerics = "blocks64-fma",
       .run = fast,
       .supports = [](const Attention& op, const Problem& problem) { return supports_fast(op, problem, true); }}));
  out.push_back(cpu_kernel<Attention>(
      {.id = "attention.cpu_plain",
       .numerics = "blocks64-mul-add",
       .run = fast,
       .supports = [](const Attention& op, const Problem& problem) { return supports_fast(op, problem, false); }}));
  out.push_back(cpu_kernel<Attention>({.id = "attention.cpu_reference",
                                       .numerics = "sequential-f64",
                                       .run = reference,
                                       .supports = supports,
                                       .reference = true}));
  return out;
}

}  // namespace tare::attention
