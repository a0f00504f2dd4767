// Linear products on CUDA as a plugin: layouts, candidates, kernel sources. A host without a kernel compiler gets the
// layouts alone.
#include "core/api/plugin.hpp"
#include "plugins/linear/cuda/bench/linear_lab.hpp"
#include "plugins/linear/cuda/bundle.hpp"
#include "plugins/linear/cuda/candidates.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda {
namespace {

Status register_plugin(Registrar& registrar) {
  auto* jit = registrar.query<jit::Jit>();
  registrar.add_layout(make_w12_strips(jit));
  registrar.add_layout(make_w11_strips(jit));
  registrar.add_layout(make_dense_strips(jit));
  if (jit == nullptr) return {};
  TARE_RETURN_IF_ERROR(jit->add_bundle(jit::linear_bundle()));
  TARE_RETURN_IF_ERROR(jit->add_bundle(jit::linear_bench_bundle()));
  for (const Tail tail : {Tail::none, Tail::add, Tail::gated}) registrar.add_kernel(make_fused_candidate(*jit, tail));
  registrar.add_kernel(make_reference_candidate(*jit));
  registrar.add_kernel(make_embed_candidate(*jit));
  registrar.add_service(LinearLab::kInterface, make_linear_lab(*jit));
  return {};
}

}  // namespace
}  // namespace tare::linear_cuda
TARE_PLUGIN("tare.linear_cuda", "0.1.0", tare::linear_cuda::register_plugin)
