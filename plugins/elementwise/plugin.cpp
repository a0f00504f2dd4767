// Ops of one row at a time on the CPU: add, scale, soft_cap, gated, activate, concat, logit_rows. No sums, so each is
// exact by its definition and needs no second version.
#include <cmath>

#include "core/api/activation.hpp"
#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare {
namespace {

// Rows of the result, each from the same row of the inputs.
template <class Row>
void rows(CpuParallel& parallel, const Launch& launch, Row row) {
  const TensorView& out = launch.outputs[0];
  const int64_t width = out.row_elements();
  parallel.run(out.rows(), std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width)),
               [&](int64_t begin, int64_t end, int32_t) {
                 std::vector<float> a(static_cast<size_t>(width)), b(static_cast<size_t>(width));
                 for (int64_t r = begin; r < end; ++r) {
                   load_row(launch.inputs[0], r, a);
                   if (launch.inputs.size() > 1) load_row(launch.inputs[1], r, b);
                   row(std::span(a), std::span<const float>(b));
                   store_row(out, r, a);
                 }
               });
}

Status add(const CpuCall<Add>& c) {
  rows(c.parallel, c.launch, [](std::span<float> a, std::span<const float> b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  });
  return {};
}
Status scale(const CpuCall<Scale>& c) {
  const float factor = rounded(c.op.factor, c.launch.outputs[0].dtype);
  rows(c.parallel, c.launch, [factor](std::span<float> a, std::span<const float>) {
    for (float& x : a) x *= factor;
  });
  return {};
}
Status soft_cap(const CpuCall<SoftCap>& c) {
  const float cap = c.op.cap;
  rows(c.parallel, c.launch, [cap](std::span<float> a, std::span<const float>) {
    for (float& x : a) x = cap * std::tanh(x / cap);
  });
  return {};
}
Status gated(const CpuCall<Gated>& c) {
  const DType dtype = c.launch.outputs[0].dtype;
  rows(c.parallel, c.launch, [&](std::span<float> a, std::span<const float> b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] = rounded(activated(a[i], c.op.activation), dtype) * b[i];
  });
  return {};
}
Status activate(const CpuCall<Activate>& c) {
  rows(c.parallel, c.launch, [&](std::span<float> a, std::span<const float>) {
    for (float& x : a) x = activated(x, c.op.activation);
  });
  return {};
}
Status concat(const CpuCall<Concat>& c) {
  const TensorView &a = c.launch.inputs[0], &b = c.launch.inputs[1], &out = c.launch.outputs[0];
  std::vector<float> row(static_cast<size_t>(out.row_elements()));
  const auto left = static_cast<size_t>(a.row_elements());
  for (int64_t r = 0; r < out.rows(); ++r) {
    load_row(a, r, std::span(row).first(left));
    load_row(b, r, std::span(row).subspan(left));
    store_row(out, r, row);
  }
  return {};
}
Status logit_rows(const CpuCall<LogitRows>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  const size_t bytes = static_cast<size_t>(out.row_elements() * size_of(out.dtype));
  for (int64_t r = 0; r < out.rows(); ++r) {
    const int64_t from = c.launch.step.logit_row_tokens[r];
    std::memcpy(static_cast<std::byte*>(out.data) + r * out.row_stride * size_of(out.dtype),
                static_cast<const std::byte*>(x.data) + from * x.row_stride * size_of(x.dtype), bytes);
  }
  return {};
}

Status register_plugin(Registrar& registrar) noexcept {
  registrar.add_kernel(cpu_kernel<Add>({.id = "add.cpu", .numerics = "exact", .run = add}));
  registrar.add_kernel(cpu_kernel<Scale>({.id = "scale.cpu", .numerics = "exact", .run = scale}));
  registrar.add_kernel(cpu_kernel<SoftCap>({.id = "soft_cap.cpu", .numerics = "exact", .run = soft_cap}));
  registrar.add_kernel(cpu_kernel<Gated>({.id = "gated.cpu", .numerics = "exact", .run = gated}));
  registrar.add_kernel(cpu_kernel<Activate>({.id = "activate.cpu", .numerics = "exact", .run = activate}));
  registrar.add_kernel(cpu_kernel<Concat>({.id = "concat.cpu", .numerics = "exact", .run = concat}));
  registrar.add_kernel(cpu_kernel<LogitRows>({.id = "logit_rows.cpu", .numerics = "exact", .run = logit_rows}));
  return {};
}

}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.elementwise", "0.1.0", tare::register_plugin)
