// Bad: a family without the entry "text".
#include "tests/validator/plugins/parts.hpp"

static tare::Status register_family(tare::Registrar& registrar) {
  tare::ModelFamily family = tare::test::family("mute", "MuteForCausalLM");
  family.entries[0].name = "vision";
  registrar.add_model(std::move(family));
  return {};
}
TARE_PLUGIN("org.test.no_family_entry", "1.0.0", register_family)
