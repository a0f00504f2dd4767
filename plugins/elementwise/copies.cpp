// concat and logit_rows: copies, of which one version is enough.
#include <cstring>

#include "plugins/elementwise/elementwise.hpp"

namespace tare::elementwise {
namespace {

std::byte* at(const TensorView& view, int64_t r) {
  return static_cast<std::byte*>(view.data) + r * view.row_stride * size_of(view.dtype);
}
size_t row_bytes(const TensorView& view) { return static_cast<size_t>(view.row_elements() * size_of(view.dtype)); }

Status concat(const CpuCall<Concat>& c) {
  const TensorView &a = c.launch.inputs[0], &b = c.launch.inputs[1], &out = c.launch.outputs[0];
  for (int64_t r = 0; r < out.rows(); ++r) {
    std::memcpy(at(out, r), at(a, r), row_bytes(a));
    std::memcpy(at(out, r) + row_bytes(a), at(b, r), row_bytes(b));
  }
  return {};
}
Status logit_rows(const CpuCall<LogitRows>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  for (int64_t r = 0; r < out.rows(); ++r)
    std::memcpy(at(out, r), at(x, c.launch.step.logit_row_tokens[r]), row_bytes(out));
  return {};
}
Verdict one_type(const Problem& problem, size_t inputs) {
  const ProblemOp& p = problem.first();
  if (p.inputs.size() != inputs || p.results.size() != 1)
    return Verdict::no(p.inputs.size(), " inputs and ", p.results.size(), " results, expected ", inputs, " and 1");
  for (const TensorInfo& t : p.inputs)
    if (t.dtype != p.results[0].dtype)
      return Verdict::no("an input is ", name(t.dtype), ", the result ", name(p.results[0].dtype));
  return Verdict::yes();
}

}  // namespace

std::vector<std::unique_ptr<KernelCandidate>> copy_candidates() {
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(cpu_kernel<Concat>(
      {.id = "concat.cpu", .numerics = "exact", .run = concat, .supports = [](const Concat&, const Problem& p) {
         return one_type(p, 2);
       }}));
  out.push_back(cpu_kernel<LogitRows>({.id = "logit_rows.cpu",
                                       .numerics = "exact",
                                       .run = logit_rows,
                                       .supports = [](const LogitRows&, const Problem& p) { return one_type(p, 1); }}));
  return out;
}

}  // namespace tare::elementwise
