#include "core/config/model_config.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace {

using namespace tare;

std::string refusal(std::string_view text) { return parse_model_config(text, "config.json").status().message(); }

TEST_CASE("config.json becomes dotted keys") {
  const auto values = parse_model_config(R"({
    "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "rms_norm_eps": 1e-05, "tie_word_embeddings": true,
    "rope_scaling": {"factor": 8.0, "rope_type": "llama3", "long_factor": [1.5, 2]}, "sliding_window": null,
    "eos_token_id": [1, null, 2], "deep": [[1, 2], {"x": [false]}], "empty": [], "big": 18446744073709551616,
    "limit": [0.0, Infinity], "nothing": NaN, "twice": 1, "twice": 2})",
                                         "config.json");
  REQUIRE(values.ok());
  const Config config(*values);
  CHECK(config.string("architectures.0", "") == "LlamaForCausalLM");
  CHECK(config.count("hidden_size") == 64);
  CHECK(config.number("rms_norm_eps") == 1e-05);
  CHECK(config.flag("tie_word_embeddings", false));
  CHECK(config.number("rope_scaling.factor") == 8);
  CHECK(config.numbers("rope_scaling.long_factor") == std::vector<double>{1.5, 2});
  CHECK_FALSE(config.has("sliding_window"));
  CHECK(config.number("eos_token_id.0") == 1);
  CHECK_FALSE(config.has("eos_token_id.1"));
  CHECK(config.number("eos_token_id.2") == 2);
  CHECK(config.number("deep.0.1") == 2);
  CHECK_FALSE(config.flag("deep.1.x.0", true));
  CHECK_FALSE(config.has_group("empty"));
  CHECK(config.number("big") == 18446744073709551616.0);
  CHECK(std::isinf(config.number("limit.1")));
  CHECK(std::isnan(config.number("nothing")));
  CHECK(config.number("twice") == 2);
  CHECK(config.problems().empty());
}

TEST_CASE("numbers are the nearest double") {
  for (const char* digits : {"0.1", "1e-06", "9.999999747378752e-06", "0.30000000000000004", "2.2250738585072014e-308",
                             "123456789.123456789", "0.013888888888888888"}) {
    const auto values = parse_model_config("{\"x\": " + std::string(digits) + "}", "config.json");
    REQUIRE(values.ok());
    CHECK(std::get<double>(values->at("x")) == std::strtod(digits, nullptr));
  }
}

TEST_CASE("bad config.json gets one sentence") {
  CHECK(refusal("[]") == "config.json:1: is a list, expected an object");
  CHECK(refusal("3") == "config.json:1: is a single value, expected an object");
  CHECK(refusal("{\n \"a\": }").starts_with("config.json:2: is no valid JSON"));
  CHECK(refusal("{\"a\": " + std::string(1000, '[')) == "config.json:1: is nested deeper than 32");
  CHECK(refusal(std::string(17 << 20, ' ')) == "config.json: has 17825792 bytes, at most 16777216 are accepted");
  // Short text that would unfold into gigabytes: a long key above many leaves.
  std::string bomb = "{\"" + std::string(1 << 20, 'k') + "\": [0";
  for (int i = 0; i < 100; ++i) bomb += ",0";
  CHECK(refusal(bomb + "]}") == "config.json:1: its keys unfold to more than 64 MiB");
}

TEST_CASE("printed values read back the same") {
  const Config::Values values = {{"architectures.0", std::string("X")},
                                 {"list.0", 1.0},
                                 {"list.1", 0.1},
                                 {"list.10", 3.0},
                                 {"list.2", 3e300},
                                 {"holes.0", true},
                                 {"holes.2", true},
                                 {"nested.a.b", std::string("quote \" and \n")},
                                 {"whole", 131072.0}};
  const std::string text = print_model_config(values);
  CHECK(text.find("\"whole\": 131072") != std::string::npos);
  CHECK(text.find("\"architectures\": [\"X\"]") != std::string::npos);
  const auto back = parse_model_config(text, "printed");
  REQUIRE(back.ok());
  CHECK(*back == values);
  CHECK(print_model_config({}) == "{}\n");
  CHECK(print_model_config({{"0", 1.0}}) == "{\n  \"0\": 1\n}\n");  // never a list at the top
  std::string deep = "a";
  for (int i = 0; i < 1000; ++i) deep += ".a";
  CHECK(*parse_model_config(print_model_config({{deep, 1.0}}), "printed") == Config::Values{{deep, 1.0}});
}

}  // namespace
