// The host side of the tutorial: which kernel text there is, what a tuner may choose, how a launch looks. No nvcc, no
// CUDA header, no library of NVIDIA's: the host compiles activate.cuh when a Plan makes the instance.
#include "core/api/plugin.hpp"
#include "activate_arguments.hpp"
#include "core/api/api.hpp"
#include "core/api/ops.hpp"
#include "jit/cuda_kernel.hpp"
#include "jit/source_hash.hpp"

namespace tare::jit {
SourceBundle guide_activate_bundle();  // made by tare_cuda_bundle() in CMakeLists.txt
}

namespace org_example {
namespace {

using tare::Activate;
using tare::DType;
using tare::Problem;
using tare::TensorView;
using tare::Verdict;

// What the tuner may choose. Printed, stored and compared as it stands.
struct ActivateConfig {
  int64_t threads = 256;  // of a block
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("threads", self.threads);
  }
};
using Call = tare::jit::CudaCall<Activate, ActivateConfig>;

Verdict supports(const Activate&, const Problem& problem) {
  const tare::ProblemOp& p = problem.first();
  if (p.inputs.size() != 1 || p.results.size() != 1)
    return Verdict::no(p.inputs.size(), " inputs and ", p.results.size(), " results, expected 1 and 1");
  if (p.inputs[0].dtype != DType::bf16 || p.results[0].dtype != DType::bf16)
    return Verdict::no("x is ", name(p.inputs[0].dtype), ", expected bf16");
  return Verdict::yes();
}

std::vector<ActivateConfig> space(const Activate&, const Problem&) { return {{256}, {64}, {128}, {512}}; }

Verdict accepts(const Activate&, const Problem&, const ActivateConfig& config) {
  if (config.threads >= 32 && config.threads <= 1024 && config.threads % 32 == 0) return Verdict::yes();
  return Verdict::no("threads is ", config.threads, ", expected a multiple of 32 up to 1024");
}

// The text that is compiled: one instance of the template.
std::vector<tare::jit::KernelUse> kernels(const Activate& op, const ActivateConfig& config, const Problem&) {
  return {{"activate.cuh",
           tare::text("org_example::activate<", static_cast<int>(op.activation), ", ", config.threads, ">")}};
}

tare::Status run(const Call& call) {
  const TensorView &x = call.launch.inputs[0], &y = call.launch.outputs[0];
  const int64_t columns = x.row_elements(), piece = call.config.threads * kPerThread;
  const auto whole = [](const TensorView& v) {
    return reinterpret_cast<uintptr_t>(v.data) % 16 == 0 && v.row_stride % kPerThread == 0;
  };
  return call.start(0,
                    {.grid_x = static_cast<uint32_t>(x.rows()),
                     .grid_y = static_cast<uint32_t>((columns + piece - 1) / piece),
                     .threads = static_cast<uint32_t>(call.config.threads)},
                    ActivateArguments{static_cast<const uint16_t*>(x.data), static_cast<uint16_t*>(y.data), columns,
                                      x.row_stride, y.row_stride, whole(x) && whole(y)});
}

tare::Status register_kernels(tare::Registrar& registrar) {
  auto* jit = registrar.query<tare::jit::Jit>();
  if (jit == nullptr) return {};  // a host without GPU kernels
  TARE_RETURN_IF_ERROR(jit->add_bundle(tare::jit::guide_activate_bundle()));
  registrar.add_kernel(tare::jit::cuda_kernel<Activate, ActivateConfig>(
      *jit, {.id = "org.example.activate.cuda",
             .numerics = "exact",  // no sums
             .kernels = kernels,
             .run = run,
             .supports = supports,
             .space = space,
             .accepts = accepts,
             .hash = tare::jit::source_hash(tare::jit::guide_activate_bundle())}));
  return {};
}

}  // namespace
}  // namespace org_example

TARE_PLUGIN("org.example.activate_cuda", "1.0.0", org_example::register_kernels)
