#include <doctest/doctest.h>

#include "core/program/op_table.hpp"
#include "core/program/trace.hpp"
#include "core/runtime/plan_executor.hpp"
#include "tests/unit/program/toy_family.hpp"

namespace tare {
namespace {

TEST_CASE("layers of one kind and shape form a group, a page holds them all") {
  const OpTable ops = builtin_ops();
  const auto program =
      trace(toy::family(), toy::config(4), {.dtype = DType::bf16}, ops);  // one full layer, three windows
  REQUIRE(program.ok());
  const auto groups = state_groups(*program, 32);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].kind == full());
  CHECK(groups[1].kind == window(16));
  CHECK(groups[0].states.size() == 1);
  CHECK(groups[1].states.size() == 3);
  const int64_t layer = 2 * (2 * 4 * 2);  // k and v, two kv heads of four bf16 numbers
  CHECK(groups[0].token_bytes == layer);
  CHECK(groups[1].token_bytes == 3 * layer);
  CHECK(groups[1].page_bytes == 3 * layer * 32);
  // A window's group stops growing with the tokens.
  const auto few = pages_for(groups, 320, 1, 64), many = pages_for(groups, 32000, 1, 64);
  CHECK(few[0] == 11);
  CHECK(many[0] == 1001);
  CHECK(many[1] == few[1]);
  CHECK(many[1] * 32 >= 16 + 64);
  CHECK(bytes_of(groups, many) == many[0] * groups[0].page_bytes + many[1] * groups[1].page_bytes);
}

TEST_CASE("buckets double up to the largest step") {
  const auto buckets = buckets_for({.context = 64, .max_step_tokens = 48, .max_sequences = 8});
  std::vector<int64_t> tokens;
  for (const Bucket& b : buckets) tokens.push_back(b.tokens);
  CHECK(tokens == std::vector<int64_t>{1, 2, 4, 8, 16, 32, 48});
  CHECK(buckets.back().sequences == 8);
}

}  // namespace
}  // namespace tare
