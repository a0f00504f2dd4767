// gated, activate, add, scale and soft_cap on CUDA.
#include "core/api/ops.hpp"
#include "jit/cuda_kernel.hpp"
#include "plugins/device_cuda/ops/candidates.hpp"
#include "plugins/device_cuda/ops/expression.hpp"
#include "plugins/device_cuda/ops/support.hpp"

namespace tare::cuda_ops {
namespace {

using jit::CudaCall;
using jit::KernelUse;
using jit::NoConfig;

template <class Op>
struct Kind;
template <>
struct Kind<Gated> {
  static constexpr Elementwise operation = Elementwise::kGated;
  static constexpr size_t inputs = 2;
  static tare::Activation activation(const Gated& op) { return op.activation; }
  static float number(const Gated&) { return 0; }
};
template <>
struct Kind<Activate> {
  static constexpr Elementwise operation = Elementwise::kActivate;
  static constexpr size_t inputs = 1;
  static tare::Activation activation(const Activate& op) { return op.activation; }
  static float number(const Activate&) { return 0; }
};
template <>
struct Kind<Add> {
  static constexpr Elementwise operation = Elementwise::kAdd;
  static constexpr size_t inputs = 2;
  static tare::Activation activation(const Add&) { return tare::Activation::none; }
  static float number(const Add&) { return 0; }
};
template <>
struct Kind<Scale> {
  static constexpr Elementwise operation = Elementwise::kScale;
  static constexpr size_t inputs = 1;
  static tare::Activation activation(const Scale&) { return tare::Activation::none; }
  static float number(const Scale& op) { return op.factor; }
};
template <>
struct Kind<SoftCap> {
  static constexpr Elementwise operation = Elementwise::kSoftCap;
  static constexpr size_t inputs = 1;
  static tare::Activation activation(const SoftCap&) { return tare::Activation::none; }
  static float number(const SoftCap& op) { return op.cap; }
};

template <class Op>
std::vector<KernelUse> kernels(const Op& op, const NoConfig&, const Problem& problem) {
  const ProblemOp& p = problem.first();
  return {{source("elementwise.cuh"),
           expression(ElementwiseConfig{.operation = Kind<Op>::operation,
                                        .activation = static_cast<Activation>(Kind<Op>::activation(op)),
                                        .first = element_of(p.inputs[0].dtype),
                                        .second = element_of(p.inputs.back().dtype),
                                        .output = element_of(p.results[0].dtype)})}};
}
template <class Op>
Status run(const CudaCall<Op>& c) {
  const TensorView &a = c.launch.inputs[0], &b = c.launch.inputs[Kind<Op>::inputs - 1], &out = c.launch.outputs[0];
  const int64_t columns = out.row_elements();
  return c.start(0, {.grid_x = count(out.rows()), .grid_y = count((columns + 255) / 256), .threads = 256},
                 ElementwiseArguments{a.data, Kind<Op>::inputs > 1 ? b.data : nullptr, out.data, columns, a.row_stride,
                                      b.row_stride, out.row_stride, Kind<Op>::number(c.op)});
}
template <class Op>
std::unique_ptr<KernelCandidate> candidate(jit::Jit& jit, std::string_view id) {
  return jit::cuda_kernel<Op>(jit,
                              {.id = id,
                               .numerics = "exact",
                               .kernels = kernels<Op>,
                               .run = run<Op>,
                               .supports = [](const Op&, const Problem& p) { return floats_only(p, Kind<Op>::inputs); },
                               .dependent = true,
                               .replays = true});
}

}  // namespace

std::vector<std::unique_ptr<KernelCandidate>> elementwise_candidates(jit::Jit& jit) {
  static_assert(static_cast<int>(Activation::kRelu) == static_cast<int>(tare::Activation::relu));
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(candidate<Gated>(jit, "gated.cuda"));
  out.push_back(candidate<Activate>(jit, "activate.cuda"));
  out.push_back(candidate<Add>(jit, "add.cuda"));
  out.push_back(candidate<Scale>(jit, "scale.cuda"));
  out.push_back(candidate<SoftCap>(jit, "soft_cap.cuda"));
  return out;
}

}  // namespace tare::cuda_ops
