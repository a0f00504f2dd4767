// The CUDA device and the model's operations on it as a plugin. A host without a kernel compiler gets the device alone.
#include "core/api/plugin.hpp"
#include "plugins/device_cuda/codec/tile_decoder.hpp"
#include "plugins/device_cuda/ops/bundle.hpp"
#include "plugins/device_cuda/ops/candidates.hpp"
#include "plugins/device_cuda/provider.hpp"

namespace {

tare::Status register_plugin(tare::Registrar& registrar) {
  auto* jit = registrar.query<tare::jit::Jit>();
  registrar.add_device(tare::cuda::make_provider({}, jit));
  if (jit == nullptr) return {};
  TARE_RETURN_IF_ERROR(jit->add_bundle(tare::jit::cuda_ops_bundle()));
  TARE_RETURN_IF_ERROR(jit->add_bundle(tare::jit::cuda_codec_bundle()));
  for (auto& candidate : tare::cuda_ops::candidates(*jit)) registrar.add_kernel(std::move(candidate));
  return {};
}

}  // namespace

TARE_PLUGIN("tare.device_cuda", "0.1.0", register_plugin)
