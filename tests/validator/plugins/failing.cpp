// Bad, politely: says no itself.
#include "tests/validator/plugins/parts.hpp"

static tare::Status register_failing(tare::Registrar& registrar) {
  registrar.add_model(tare::test::family("failing", "FailingForCausalLM"));
  return tare::failure(tare::Code::unsupported, "this machine has no ", "abacus");
}
TARE_PLUGIN("org.test.failing", "1.0.0", register_failing)
