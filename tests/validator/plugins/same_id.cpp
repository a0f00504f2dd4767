// Bad: claims the id of `good`.
#include "tests/validator/plugins/parts.hpp"

static tare::Status register_same(tare::Registrar& registrar) {
  registrar.add_kernel(std::make_unique<tare::test::CopyKernel>("copy.same_id", "copy/1"));
  return {};
}
TARE_PLUGIN("org.test.good", "9.9.9", register_same)
