// Every recorded template renders as Transformers rendered it (tests/golden/text/make_templates.py).
#include <doctest/doctest.h>

#include <boost/json.hpp>

#include "plugins/text/service.hpp"
#include "tests/unit/text/golden_cases.hpp"

using namespace tare;
namespace json = boost::json;

TEST_CASE("templates render as Transformers renders them") {
  const json::value recorded = json::parse(text_test::read_file(text_test::golden_path("template_cases.json")));
  const auto service = text_plugin::make_text_service();
  const RenderOptions options{.now = recorded.at("now").as_int64()};
  size_t rendered = 0, refused = 0;
  for (const json::value& entry : recorded.at("cases").as_array()) {
    const json::object& c = entry.as_object();
    const std::string name(c.at("name").as_string());
    CAPTURE(name);
    const std::string source =
        c.contains("file")
            ? text_test::read_file(text_test::golden_path("templates/" + std::string(c.at("file").as_string())))
            : std::string(c.at("template").as_string());
    json::object context = c.at("context").as_object();
    for (const auto& token : recorded.at("special_tokens").as_object()) context[token.key()] = token.value();
    const auto text = service->render(source, json::serialize(context), options);
    if (const json::value* expected = c.if_contains("expected")) {
      if (!text.ok()) FAIL_CHECK(text.status().message());
      if (text.ok()) CHECK(*text == std::string(expected->as_string()));
      ++rendered;
    } else {
      const std::string wanted(c.at("error").as_string());
      CAPTURE(wanted);
      CHECK_FALSE(text.ok());
      if (text.ok()) continue;
      CHECK(text.status().code() == Code::invalid);
      CHECK(text.status().message().find("line ") != std::string::npos);
      if (wanted.find("alternate") != std::string::npos || wanted.find("not supported") != std::string::npos)
        CHECK(text.status().message().find(wanted) != std::string::npos);
      ++refused;
    }
  }
  CHECK(rendered > 150);
  CHECK(refused > 20);
}
