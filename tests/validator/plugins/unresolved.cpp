// Bad: wants a function that nobody has; found at load, not at the first request.
#include "tests/validator/plugins/parts.hpp"

extern "C" int a_function_that_nobody_has();

static tare::Status register_unresolved(tare::Registrar&) {
  return a_function_that_nobody_has() == 0 ? tare::Status() : tare::invalid("odd");
}
TARE_PLUGIN("org.test.unresolved", "1.0.0", register_unresolved)
