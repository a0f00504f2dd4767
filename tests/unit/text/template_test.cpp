#include <doctest/doctest.h>

#include "plugins/text/service.hpp"

using namespace tare;

TEST_CASE("a template alone renders with Transformers' whitespace rules") {
  const auto service = text_plugin::make_text_service();
  const auto text = service->render(
      "{% for m in messages %}\n  {% if true %}\n{{ m.role }}: {{ m.content|tojson }}\n"
      "  {% endif %}\n{% endfor %}\n",
      R"({"messages":[{"role":"user","content":"<b> é"}]})", {});
  REQUIRE(text.ok());
  CHECK(*text == "user: \"<b> é\"\n");
}
