#include "core/api/api.hpp"
#include "table_kernel.hpp"

namespace {
tare::Status register_kernels(tare::Registrar& registrar) {
  registrar.add_kernel(org_example::make_table_kernel());
  return {};
}
}  // namespace

TARE_PLUGIN("org.example.activate", "1.0.0", register_kernels)
