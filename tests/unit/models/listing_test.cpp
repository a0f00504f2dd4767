// The listing for people: each kind of layer once.
#include "core/program/listing.hpp"

#include <doctest/doctest.h>

#include "tests/unit/models/configs.hpp"
#include "tests/unit/models/support.hpp"

namespace tare {
namespace {

std::string listed(std::string_view config) {
  const Result<Program> program = trace_text(config);
  REQUIRE_MESSAGE(program.ok(), program.status().message());
  return listing(*program);
}
size_t count(const std::string& text, std::string_view part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("llama: one kind of layer, shown once, with parameter counts") {
  const std::string shown = listed(configs::kLlama31_8b);
  CHECK(shown.starts_with("entry text: 8'030'261'248 parameters\n"));
  CHECK(count(shown, "attention/1") == 1);
  CHECK(count(shown, "== layer 0, 218'112'000 parameters; layers 1..31 the same") == 1);
  CHECK(count(shown,
              "= linear/1(%1; q_proj.weight, k_proj.weight, v_proj.weight) {f32 = false} -> bf16 [tokens, 32 "
              "heads, 128], bf16 [tokens, 8 kv_heads, 128], bf16 [tokens, 8 kv_heads, 128]") == 1);
  CHECK(count(shown, "keeps full -> bf16 [tokens, 32 heads, 128]") == 1);
  CHECK(count(shown, "  == after the layers\n") == 1);
  CHECK(count(shown, "  output logits = %") == 1);
}

TEST_CASE("gemma 3: sliding and full layers are two kinds") {
  const std::string shown = listed(configs::kGemma3_4b);
  CHECK(count(shown, "attention/1") == 2);
  CHECK(count(shown, "layers 1..4, 6..10, 12..16, 18..22, 24..28, 30..33 the same") == 1);
  CHECK(count(shown, "== layer 5,") == 1);
  CHECK(count(shown, "layers 11, 17, 23, 29 the same") == 1);
}

}  // namespace tare
