// The table of CPU products, best first, the oracle last.
#include "core/api/plugin.hpp"
#include "plugins/linear/cpu_candidate.hpp"
#include "plugins/linear/cpu_layouts.hpp"

namespace tare::linear {
namespace {

Status register_plugin(Registrar& registrar) noexcept {
  registrar.add_layout(make_rows_layout());
  registrar.add_layout(make_cpu_tiles_layout());
  for (const auto& backend : {make_amx_backend(), make_avx512_bf16_backend(), make_highway_backend()})
    if (backend != nullptr)
      for (const Tail tail : {Tail::none, Tail::add, Tail::gated}) registrar.add_kernel(make_candidate(backend, tail));
  registrar.add_kernel(make_reference());
  return {};
}

}  // namespace
}  // namespace tare::linear
TARE_PLUGIN("tare.linear", "0.1.0", tare::linear::register_plugin)
