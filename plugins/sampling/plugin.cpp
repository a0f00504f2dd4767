#include "core/api/plugin.hpp"
#include "plugins/sampling/kernel.hpp"
#if defined(TARE_SAMPLING_CUDA)
#include "plugins/sampling/cuda/candidate.hpp"
#endif

namespace tare {
namespace {
Status register_plugin(Registrar& registrar) {
  registrar.add_kernel(sampling::fast_kernel());
  registrar.add_kernel(sampling::reference_kernel());
#if defined(TARE_SAMPLING_CUDA)
  if (auto* jit = registrar.query<jit::Jit>()) {
    TARE_RETURN_IF_ERROR(jit->add_bundle(jit::sampling_bundle()));
    registrar.add_kernel(sampling::cuda_kernel(*jit));
  }
#endif
  return {};
}
}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.sampling", "0.1.0", tare::register_plugin)
