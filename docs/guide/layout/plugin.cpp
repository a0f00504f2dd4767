#include "core/api/api.hpp"
#include "row12.hpp"

namespace {
tare::Status register_layout(tare::Registrar& registrar) {
  registrar.add_layout(org_example::make_row12());
  registrar.add_kernel(org_example::make_row12_kernel());
  return {};
}
}  // namespace

TARE_PLUGIN("org.example.row12", "1.0.0", register_layout)
