// Bad: throws in the middle of its registration.
#include <stdexcept>

#include "tests/validator/plugins/parts.hpp"

static tare::Status register_throwing(tare::Registrar& registrar) {
  registrar.add_kernel(std::make_unique<tare::test::CopyKernel>("copy.thrown", "copy/1"));
  throw std::runtime_error("the moon is\nin the wrong house");
}
TARE_PLUGIN("org.test.throwing", "1.0.0", register_throwing)
