// A second good plugin, beside the first.
#include "tests/validator/plugins/parts.hpp"

static tare::Status register_other(tare::Registrar& registrar) noexcept {
  registrar.add_kernel(std::make_unique<tare::test::CopyKernel>("copy.other", "copy/1"));
  return {};
}
TARE_PLUGIN("org.test.other", "0.1.0", register_other)
