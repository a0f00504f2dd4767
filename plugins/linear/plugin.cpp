// The table of CPU products, best first, the oracle last; and the layouts that they read.
#include "core/api/plugin.hpp"
#include "plugins/linear/coded_backend.hpp"
#include "plugins/linear/coded_layout.hpp"
#include "plugins/linear/cpu_candidate.hpp"
#include "plugins/linear/cpu_layouts.hpp"

namespace tare::linear {
namespace {

Status register_plugin(Registrar& registrar) noexcept {
  registrar.add_layout(make_rows_layout());
  registrar.add_layout(make_cpu_tiles_layout());
  registrar.add_layout(make_w12_layout());
  registrar.add_layout(make_w11_layout());
  std::vector<std::shared_ptr<const CpuBackend>> backends{make_amx_backend(), make_avx512_bf16_backend(),
                                                          make_highway_backend()};
  for (const std::string_view layout : {kW12, kW11})  // after the dense ones: chosen where a weight lies coded
    for (const auto make : {make_coded_amx_backend, make_coded_avx512_bf16_backend, make_coded_highway_backend})
      backends.push_back(make(layout));
  for (const auto& backend : backends)
    if (backend != nullptr)
      for (const Tail tail : {Tail::none, Tail::add, Tail::gated}) registrar.add_kernel(make_candidate(backend, tail));
  registrar.add_kernel(make_reference());
  return {};
}

}  // namespace
}  // namespace tare::linear
TARE_PLUGIN("tare.linear", "0.1.0", tare::linear::register_plugin)
