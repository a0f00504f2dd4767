// The text form over every family: printed, parsed, printed again.
#include <doctest/doctest.h>

#include <filesystem>

#include "core/program/program_text.hpp"
#include "tests/unit/models/configs.hpp"
#include "tests/unit/models/support.hpp"

namespace tare {
namespace {

void round_trip(std::string_view config, DType dtype) {
  const Result<Program> traced = trace_text(config, dtype);
  REQUIRE_MESSAGE(traced.ok(), traced.status().message());
  const std::string first = print_program(*traced);
  const Result<Program> parsed = parse_program(first, builtin_ops());
  REQUIRE_MESSAGE(parsed.ok(), parsed.status().message());
  CHECK(print_program(*parsed) == first);
  // Not only the text is equal: what the planner reads is, tables to the bit.
  CHECK(parsed->nodes == traced->nodes);
  CHECK(parsed->weights == traced->weights);
  CHECK(parsed->states == traced->states);
  CHECK(parsed->constants == traced->constants);
  CHECK(parsed->outputs == traced->outputs);
  CHECK(parsed->entries == traced->entries);
  REQUIRE(parsed->values.size() == traced->values.size());
  for (size_t v = 0; v < parsed->values.size(); ++v) {
    CHECK(parsed->values[v].node == traced->values[v].node);
    CHECK(parsed->values[v].name == traced->values[v].name);
  }
}

}  // namespace

TEST_CASE("every golden config: parse then print gives the same bytes and the same Program") {
  for (const auto& folder : std::filesystem::directory_iterator(TARE_SOURCE_DIR "/tests/golden/models")) {
    if (!std::filesystem::exists(folder.path() / "config.json")) continue;
    INFO(folder.path().filename().string());
    round_trip(read_text(folder.path() / "config.json"), DType::bf16);
  }
}
TEST_CASE("published models, both activation types") {
  for (const std::string_view config : {configs::kLlama31_8b, configs::kGemma3_4b, configs::kQwen3_8b}) {
    round_trip(config, DType::bf16);
    round_trip(config, DType::f32);
  }
}

TEST_CASE("editing one op in the text changes the Program") {
  const Result<Program> traced = trace_text(configs::kSmolLm2_135m);
  REQUIRE(traced.ok());
  std::string text = print_program(*traced);
  const size_t at = text.find("activation = silu");
  REQUIRE(at != std::string::npos);
  text.replace(at, 17, "activation = gelu");
  const Result<Program> edited = parse_program(text, builtin_ops());
  REQUIRE_MESSAGE(edited.ok(), edited.status().message());
  size_t different = 0;
  for (size_t i = 0; i < edited->nodes.size(); ++i)
    if (edited->nodes[i] != traced->nodes[i]) {
      ++different;
      CHECK(edited->nodes[i].op == "gated/1");
      CHECK(to_string(edited->nodes[i].attributes) == "{activation = gelu}");
    }
  CHECK(different == 1);
}

}  // namespace tare
