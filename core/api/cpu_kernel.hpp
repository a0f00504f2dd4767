// A short way to write a CPU kernel for one op: a function of (op, problem, launch), wrapped as a KernelCandidate; and
// rows of any dtype as floats. Header-only, for plugin authors. Thread rule: as kernel.hpp has it.
#pragma once
#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/api/kernel.hpp"

namespace tare {

// Row r of a view as floats, and back with one rounding to the view's dtype.
inline void load_row(const TensorView& view, int64_t r, std::span<float> out) noexcept {
  const int64_t n = static_cast<int64_t>(out.size());
  if (view.dtype == DType::f32) {
    std::copy_n(view.row<const float>(r), n, out.data());
  } else if (view.dtype == DType::bf16) {
    const bf16* in = view.row<const bf16>(r);
    for (int64_t i = 0; i < n; ++i) out[static_cast<size_t>(i)] = to_float(in[i]);
  } else {
    const f16* in = view.row<const f16>(r);
    for (int64_t i = 0; i < n; ++i) out[static_cast<size_t>(i)] = to_float(in[i]);
  }
}
inline void store_row(const TensorView& view, int64_t r, std::span<const float> in) noexcept {
  const int64_t n = static_cast<int64_t>(in.size());
  if (view.dtype == DType::f32) {
    std::copy_n(in.data(), n, view.row<float>(r));
  } else {
    bf16* out = view.row<bf16>(r);
    for (int64_t i = 0; i < n; ++i) out[i] = to_bf16(in[static_cast<size_t>(i)]);
  }
}
// A small weight (a norm's, a bias) as floats; empty when it is absent.
inline Result<std::vector<float>> load_weight(const WeightView& weight) {
  std::vector<float> out;
  if (weight.info == nullptr) return out;
  const int64_t n = tare::elements(weight.info->shape);
  out.resize(static_cast<size_t>(n));
  std::vector<std::byte> plain(static_cast<size_t>(n * size_of(weight.info->dtype)));
  TARE_RETURN_IF_ERROR(weight.decoder->decode(*weight.info, 0, weight.info->outputs(), weight.data, plain.data()));
  load_row(packed_view(plain.data(), weight.info->dtype, {1, n}), 0, out);
  return out;
}

// What the wrapped function gets. `parallel` is never null.
template <class Op>
struct CpuCall {
  const Op& op;
  const Problem& problem;
  const Launch& launch;
  CpuParallel& parallel;
};

template <class Op>
struct CpuKernelSpec {
  std::string_view id;                          // "norm.cpu"
  std::string_view numerics;                    // the order of its sums; kernels with one id give equal bits
  Status (*run)(const CpuCall<Op>&) = nullptr;  // must not throw but std::bad_alloc
  Verdict (*supports)(const Op&, const Problem&) = nullptr;  // null: everything with float tensors
  std::vector<std::string> layouts{"*"};                     // of its weights
  bool reference = false;
};

template <class Op>
class CpuKernel final : public KernelCandidate {
 public:
  explicit CpuKernel(CpuKernelSpec<Op> spec) : spec_(std::move(spec)) {}
  std::string_view id() const noexcept override { return spec_.id; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  std::vector<std::string> takes() const override { return {std::string(Op::kOp)}; }
  bool is_reference() const noexcept override { return spec_.reference; }
  std::string numerics(const Problem&) const override { return std::string(spec_.numerics); }
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return spec_.layouts; }
  KernelConfig fallback(const Problem&) const override { return {}; }
  Verdict supports(const Problem& problem) const noexcept override {
    for (const auto* side : {&problem.first().inputs, &problem.first().results})
      for (const TensorInfo& t : *side)
        if (t.dtype != DType::bf16 && t.dtype != DType::f32 && t.dtype != DType::i32)
          return Verdict::no("a tensor is ", name(t.dtype), ", expected bf16 or f32");
    const auto op = from_attributes<Op>(problem.first().attributes);
    if (!op.ok()) return Verdict::no(op.status().message());
    return spec_.supports != nullptr ? spec_.supports(*op, problem) : Verdict::yes();
  }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig&) const override {
    TARE_ASSIGN_OR_RETURN(Op op, from_attributes<Op>(problem.first().attributes));
    auto* parallel = static_cast<CpuParallel*>(device.query(CpuParallel::kInterface));
    if (parallel == nullptr) return Status(Code::unsupported, text(spec_.id, ": the device has no cpu_parallel/1"));
    return std::unique_ptr<Instance>(std::make_unique<Bound>(spec_.run, std::move(op), problem, *parallel));
  }

 private:
  class Bound final : public Instance {
   public:
    Bound(Status (*run)(const CpuCall<Op>&), Op op, Problem problem, CpuParallel& parallel)
        : run_(run), op_(std::move(op)), problem_(std::move(problem)), parallel_(parallel) {}
    Status launch(const Launch& launch) noexcept override {
      try {
        return run_({op_, problem_, launch, parallel_});
      } catch (const std::bad_alloc&) {
        return Status(Code::exhausted, text(Op::kOp, ": the process is out of memory"));
      }
    }

   private:
    Status (*run_)(const CpuCall<Op>&);
    Op op_;
    Problem problem_;
    CpuParallel& parallel_;
  };
  CpuKernelSpec<Op> spec_;
};

template <class Op>
std::unique_ptr<KernelCandidate> cpu_kernel(CpuKernelSpec<Op> spec) {
  return std::make_unique<CpuKernel<Op>>(std::move(spec));
}

}  // namespace tare
