// Bad: its second kernel has the id of a kernel of `good`; nothing of it may stay.
#include "tests/validator/plugins/parts.hpp"

static tare::Status register_same(tare::Registrar& registrar) {
  registrar.add_kernel(std::make_unique<tare::test::CopyKernel>("copy.fresh", "copy/1"));
  registrar.add_kernel(std::make_unique<tare::test::CopyKernel>("copy.good", "copy/1"));
  registrar.add_layout(std::make_unique<tare::test::RowsLayout>("dense/fresh-rows"));
  return {};
}
TARE_PLUGIN("org.test.same_kernel", "1.0.0", register_same)
