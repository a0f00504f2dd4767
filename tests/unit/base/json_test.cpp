#include "core/base/json.hpp"

#include <doctest/doctest.h>

namespace {

using namespace tare;

struct Recorder final : JsonEvents {
  std::string log;
  Status put(std::string_view text) {
    log += std::string(text) + " ";
    return log.find("stop") == log.npos ? Status() : invalid("stopped");
  }
  Status begin_object() override { return put("{"); }
  Status end_object() override { return put("}"); }
  Status begin_array() override { return put("["); }
  Status end_array() override { return put("]"); }
  Status key(std::string_view name) override { return put(std::string(name) + ":"); }
  Status string(std::string_view value) override { return put("'" + std::string(value) + "'"); }
  Status number(std::string_view digits) override { return put(digits); }
  Status boolean(bool value) override { return put(value ? "true" : "false"); }
  Status null() override { return put("null"); }
};
std::string events(std::string_view text, JsonLimits limits = {}) {
  Recorder recorder;
  const Status status = read_json(text, "x.json", limits, recorder);
  return status.ok() ? recorder.log : status.message();
}

TEST_CASE("JSON arrives as events, numbers as they are written") {
  CHECK(events(R"({"a": [1, -2.50e3, 123456789012345678901234567890], "b": {"c": null}, "d": [true, "x\né"]})") ==
        "{ a: [ 1 -2.50e3 123456789012345678901234567890 ] b: { c: null } d: [ true 'x\n\xc3\xa9' ] } ");
  CHECK(events("7 ") == "7 ");
}
TEST_CASE("Python's numbers are read only where they are allowed") {
  CHECK(events(R"([NaN, -Infinity, Infinity, "NaN \" Infinity"])", {.python_numbers = true}) ==
        "[ nan -inf inf 'NaN \" Infinity' ] ");
  CHECK(events("[NaN]").starts_with("x.json:1: is no valid JSON"));
}
TEST_CASE("JSON mistakes are one sentence with the line") {
  CHECK(events("{\n\"a\": 1,\n}").starts_with("x.json:3: is no valid JSON: "));
  CHECK(events("{\"a\": 1").starts_with("x.json:1: the JSON ends too early"));
  CHECK(events("") == "x.json:1: the JSON ends too early");
  CHECK(events("{}\n{}") == "x.json:2: something follows the JSON's end");
  CHECK(events("{\"a\":\n\"stop\"}") == "x.json:2: stopped");
  CHECK(events(std::string(100000, '[')) == "x.json:1: is nested deeper than 32");
  CHECK(events("[\"\xff\"]").starts_with("x.json:1: is no valid JSON"));
  CHECK(events(std::string_view("[1]\0", 4)) == "x.json:1: something follows the JSON's end");
}

}  // namespace
