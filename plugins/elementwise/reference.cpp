// The oracles: each op as ops.hpp defines it, an element after the other.
#include <cmath>

#include "core/api/activation.hpp"
#include "plugins/elementwise/elementwise.hpp"

namespace tare::elementwise {
namespace {

// out[i] = round(element(a[i], b[i])); b is 0 where the op has one input.
template <class Element>
Status each(const Launch& launch, Element element) {
  const TensorView& out = launch.outputs[0];
  std::vector<float> a(static_cast<size_t>(out.row_elements())), b(a.size());
  for (int64_t r = 0; r < out.rows(); ++r) {
    load_row(launch.inputs[0], r, a);
    if (launch.inputs.size() > 1) load_row(launch.inputs[1], r, b);
    for (size_t i = 0; i < a.size(); ++i) a[i] = element(a[i], b[i]);
    store_row(out, r, a);
  }
  return {};
}

Status add(const CpuCall<Add>& c) {
  return each(c.launch, [](float a, float b) { return a + b; });
}
Status scale(const CpuCall<Scale>& c) {
  const float factor = rounded(c.op.factor, c.launch.outputs[0].dtype);
  return each(c.launch, [factor](float x, float) { return x * factor; });
}
Status soft_cap(const CpuCall<SoftCap>& c) {
  return each(c.launch, [cap = c.op.cap](float x, float) { return cap * std::tanh(x / cap); });
}
Status gated(const CpuCall<Gated>& c) {
  const DType dtype = c.launch.outputs[0].dtype;
  return each(c.launch, [&](float gate, float up) { return rounded(activated(gate, c.op.activation), dtype) * up; });
}
Status activate(const CpuCall<Activate>& c) {
  return each(c.launch, [&](float x, float) { return activated(x, c.op.activation); });
}

template <class Op, size_t kInputs>
std::unique_ptr<KernelCandidate> oracle(std::string_view id, std::string_view numerics,
                                        Status (*run)(const CpuCall<Op>&)) {
  return cpu_kernel<Op>({.id = id,
                         .numerics = numerics,
                         .run = run,
                         .supports = [](const Op&, const Problem& problem) { return floats_only(problem, kInputs); },
                         .reference = true});
}

}  // namespace

std::vector<std::unique_ptr<KernelCandidate>> reference_candidates() {
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(oracle<Add, 2>("add.cpu_reference", "exact", add));
  out.push_back(oracle<Scale, 1>("scale.cpu_reference", "exact", scale));
  out.push_back(oracle<SoftCap, 1>("soft_cap.cpu_reference", "libm-tanh", soft_cap));
  out.push_back(oracle<Gated, 2>("gated.cpu_reference", "exact", gated));
  out.push_back(oracle<Activate, 1>("activate.cpu_reference", "exact", activate));
  return out;
}

}  // namespace tare::elementwise
