#include <doctest/doctest.h>

#include <limits>

#include "plugins/server_openai/json.hpp"
#include "plugins/server_openai/json_writer.hpp"
#include "plugins/server_openai/utf8.hpp"

using namespace tare::server;

namespace {
std::string again(const std::string& text) {
  const auto json = parse_json(text);
  return json.ok() ? to_text(*json) : json.status().message();
}
bool says(const std::string& message, const char* words) {
  INFO(message);
  return message.find(words) != std::string::npos;
}
}  // namespace

TEST_CASE("JSON is read and written back") {
  for (const char* text : {"null", "true", "7", "-0.5", "\"a\\\"b\\\\c\\nd\"", "[]", "{}", "[1,[2,[]],{\"a\":null}]",
                           "{\"b\":1,\"a\":\"\xC3\xA4\"}", "1e+30", "5.555555555555555e+51", "0.30000000000000004",
                           "1.7976931348623157e+308", "5e-324", "9223372036854775807"})
    CHECK(again(text) == text);
  CHECK(again(" [1 , 2 ] \n") == "[1,2]");
  CHECK(again("\"\\u00e4\\ud83d\\ude00\"") == "\"\xC3\xA4\xF0\x9F\x98\x80\"");
}

TEST_CASE("what is no JSON is refused in a sentence") {
  CHECK(says(again(""), "empty"));
  CHECK(says(again("  \n"), "empty"));
  CHECK(says(again("{"), "ends after 1 bytes"));
  CHECK(says(again("{} x"), "follows the JSON's end at byte 3"));
  CHECK(says(again("{'a': 1}"), "no valid JSON at byte 1"));
  CHECK(says(again("[1,]"), "no valid JSON"));
  CHECK(says(again("[1e999]"), "'1e999' of the body is beyond"));
  CHECK(says(again("NaN"), "no valid JSON"));
  CHECK(says(again("{\"a\":1,\"a\":2}"), "'a' is given twice"));
}

TEST_CASE("hostile JSON is refused") {
  CHECK(again(std::string(64, '[') + std::string(64, ']')).size() == 128);
  CHECK(says(again(std::string(65, '[') + std::string(65, ']')), "deeper than 64"));
  CHECK(says(again(std::string(100000, '[')), "deeper than 64"));
  CHECK(says(again("\"a\\u0000b\""), "U+0000"));
  CHECK(says(again("{\"a\\u0000\": 1}"), "U+0000"));
  CHECK(says(again(std::string("\"a\0b\"", 5)), "no valid JSON"));
  CHECK(says(again("\"\xC3\""), "no valid JSON"));
  CHECK(says(again("\"\xED\xA0\x80\""), "no valid JSON"));
  CHECK(says(again("\"\\ud800\""), "no valid JSON"));
  std::string many = "[1";
  for (int i = 0; i < (1 << 20); ++i) many += ",1";
  CHECK(says(again(many + "]"), "more than 1048576 values"));
}

TEST_CASE("the writer always gives JSON") {
  JsonWriter out;
  out.begin_object().member("a", "\xFF\x01\x7F").key("b").number(std::numeric_limits<double>::infinity());
  out.key("c").number(0.1f).key("d").begin_array().boolean(false).null().end_array().end_object();
  const std::string text = out.take();
  CHECK(text == "{\"a\":\"\xEF\xBF\xBD\\u0001\\u007f\",\"b\":null,\"c\":0.1,\"d\":[false,null]}");
  CHECK(parse_json(text).ok());
}

TEST_CASE("UTF-8 is told from what is none") {
  for (const char* good : {"", "a", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"})
    CHECK(is_utf8(good));
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8", "a\xC3"})
    CHECK_FALSE(is_utf8(bad));
  CHECK(characters("a\xC3\xA4\xF0\x9F\x98\x80") == 3);
  CHECK(repaired_utf8("a\xC3z") == "a\xEF\xBF\xBDz");
}

TEST_CASE("what was found is described in a line") {
  CHECK(describe({std::string("hot")}) == "the string 'hot'");
  CHECK(describe({int64_t{-1}}) == "the number -1");
  CHECK(describe({}) == "null");
  CHECK(describe({JsonArray{}}) == "an empty list");
  CHECK(describe({std::string(1000, 'x')}).size() < 100);
  CHECK(is_utf8(quoted(std::string(59, 'x') + "\xC3\xA4z")));
  CHECK(quoted("a\nb") == "'a b'");
}
