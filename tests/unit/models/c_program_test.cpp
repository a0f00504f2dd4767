// The example in pure C (docs/guide/c_program): its text is the very Program of the llama family, and odd configs get a
// sentence.
#include <doctest/doctest.h>

#include "core/plugin/plugin_host.hpp"
#include "core/program/program_text.hpp"
#include "tests/unit/models/support.hpp"

namespace tare {
namespace {

class Example {
 public:
  Example() : host_(options()) { REQUIRE(host_.registrations().programs.size() == 1); }
  const CProgram& program() const { return *host_.registrations().programs[0]; }

 private:
  static PluginHostOptions options() {
    PluginHostOptions out;
    out.search.config_path = {TARE_BINARY_DIR "/tests/c_program"};
    return out;
  }
  PluginHost host_;
};

std::string with(std::string json, std::string_view from, std::string_view to) {
  const size_t at = json.find(from);
  REQUIRE(at != std::string::npos);
  return json.replace(at, from.size(), to);
}
const std::string kConfig = read_text(TARE_SOURCE_DIR "/docs/guide/c_program/config.json");

Program without_places(Program program) {
  for (WeightDecl& w : program.weights) w.where.clear();
  for (Node& n : program.nodes) n.where.clear();
  return program;
}

}  // namespace

TEST_CASE("a model written in C is the same Program as the family's") {
  const Example example;
  for (const std::string& config : {kConfig, with(kConfig, "false", "true"), with(kConfig, "10000.0", "500000"),
                                    with(kConfig, "\"num_key_value_heads\": 2,", "\"head_dim\": 32,")}) {
    const Result<std::string> text = example.program().program(config);
    REQUIRE_MESSAGE(text.ok(), text.status().message());
    const Result<Program> found = parse_program(*text, builtin_ops());
    REQUIRE_MESSAGE(found.ok(), found.status().message());
    const Result<Program> wanted = trace_text(with(config, "TinyCForCausalLM", "LlamaForCausalLM"));
    REQUIRE_MESSAGE(wanted.ok(), wanted.status().message());
    CHECK(print_program(*found) == print_program(without_places(*wanted)));
  }
}

TEST_CASE("what the C program does not take gets one sentence") {
  const Example example;
  const auto said = [&](const std::string& config) {
    const Result<std::string> text = example.program().program(config);
    return text.ok() ? std::string("accepted") : text.status().message();
  };
  const auto says = [&](const std::string& config, std::string_view part) {
    CHECK_MESSAGE(said(config).find(part) != std::string::npos, said(config));
  };
  says("{}", "knows the architecture TinyCForCausalLM alone");
  says(with(kConfig, "TinyCForCausalLM", "GraniteForCausalLM"), "knows the architecture TinyCForCausalLM alone");
  says(with(kConfig, "\"hidden_size\": 64,", ""), "'hidden_size' is missing, expected a number");
  says(with(kConfig, "\"hidden_size\": 64", "\"hidden_size\": \"big\""), "'hidden_size' is no number from 1 to");
  says(with(kConfig, "\"hidden_size\": 64", "\"hidden_size\": 6.5"), "'hidden_size' is 6.5, expected a whole number");
  says(with(kConfig, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 1e300"), "'num_hidden_layers' is no number");
  says(with(kConfig, "\"vocab_size\"", "\"rope_scaling\": {\"factor\": 2}, \"vocab_size\""),
       "'rope_scaling' is set, expected null");
  for (size_t size = 0; size < kConfig.size(); ++size)
    if (const Result<std::string> text = example.program().program(kConfig.substr(0, size)); text.ok())
      CHECK(parse_program(*text, builtin_ops()).ok());
}

TEST_CASE("what a C program gets wrong is found by the parser, with its line") {
  const Example example;
  const Result<std::string> text =
      example.program().program(with(kConfig, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"));
  REQUIRE(text.ok());
  const Result<Program> parsed = parse_program(*text, builtin_ops());
  REQUIRE_FALSE(parsed.ok());
  CHECK(parsed.status().message().find("attention/1: shares the kv heads evenly: wanted a divisor of 4 heads, found 3 "
                                       "kv_heads") != std::string::npos);
  CHECK(parsed.status().message().find("Program text, line ") == 0);
}

}  // namespace tare
