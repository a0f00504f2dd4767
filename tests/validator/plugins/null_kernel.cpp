// Bad: adds nothing at all.
#include "tests/validator/plugins/parts.hpp"

static tare::Status register_null(tare::Registrar& registrar) {
  registrar.add_kernel(nullptr);
  return {};
}
TARE_PLUGIN("org.test.null_kernel", "1.0.0", register_null)
