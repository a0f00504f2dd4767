// Plans of a small model over fake kernels: settling, fusion, buffers, refusals.
#include <doctest/doctest.h>

#include <algorithm>

#include "core/program/plan.hpp"
#include "core/program/trace.hpp"
#include "tests/unit/plan/fake_kernels.hpp"
#include "tests/unit/program/toy_family.hpp"

namespace tare {
namespace {

const OpTable& ops() {
  static const OpTable table = builtin_ops();
  return table;
}
Program toy_program() {
  auto program = trace(toy::family(), toy::config(), {.dtype = DType::bf16}, ops());
  REQUIRE_MESSAGE(program.ok(), program.status().message());
  return with_sampling(*program);
}
const DeviceInfo kDevice{
    .id = "fake:0", .kind = "fake", .name = "a fake", .architecture = "none", .sku = "fake", .features = {}};

PlanContext context_of(const Program& program, const Registry& registry) {
  return {.program = program, .entry = 0, .registry = registry, .ops = ops(), .device = kDevice, .chosen_layouts = {}};
}
size_t steps_by(const Plan& plan, std::string_view kernel) {
  return static_cast<size_t>(
      std::ranges::count_if(plan.steps, [&](const PlanStep& s) { return s.choice.kernel->id() == kernel; }));
}
const std::vector<Bucket> kBuckets{{1, 1, 1}, {64, 8, 8}};

TEST_CASE("every node of the entry is covered once, and sampling follows the logits") {
  const Program program = toy_program();
  const fake::Set set(fake::one_each());
  const PlanContext context = context_of(program, set.registry);
  const auto settlement = settle(context, kBuckets);
  REQUIRE_MESSAGE(settlement.ok(), settlement.status().message());
  const auto plan = make_plan(context, *settlement, kBuckets[1]);
  REQUIRE_MESSAGE(plan.ok(), plan.status().message());
  size_t nodes = 0;
  for (const Node& n : program.nodes) nodes += n.entry == 0;
  CHECK(plan->steps.size() == nodes);
  CHECK(plan->steps.back().choice.kernel->id() == "any.sample/1");
  for (const PlanStep& step : plan->steps) CHECK(step.choice.ending == Ending::rule);
}

TEST_CASE("neighbours are taken together where a kernel takes them and nobody else looks") {
  const Program program = toy_program();
  auto kernels = fake::one_each();
  kernels.push_back({.id = "fused.add", .takes = {"linear/1", "add/1"}});
  kernels.push_back({.id = "fused.gated", .takes = {"linear/1", "gated/1"}, .most_rows = 8});
  const fake::Set set(std::move(kernels));
  const PlanContext context = context_of(program, set.registry);
  const auto settlement = settle(context, kBuckets);
  REQUIRE(settlement.ok());
  const auto small = make_plan(context, *settlement, kBuckets[0]), large = make_plan(context, *settlement, kBuckets[1]);
  REQUIRE(small.ok());
  REQUIRE(large.ok());
  CHECK(steps_by(*small, "fused.add") == 4);    // o and down of two layers
  CHECK(steps_by(*small, "fused.gated") == 2);  // gate and up of two layers
  CHECK(steps_by(*large, "fused.gated") == 0);
  CHECK(steps_by(*large, "any.gated/1") == 2);
  const auto why = std::ranges::find_if(large->steps, [](const PlanStep& s) { return !s.passed_over.empty(); });
  REQUIRE(why != large->steps.end());
  CHECK(why->passed_over.front().reason == "64 rows, at most 8");
  // What only a chain sees never reaches memory.
  for (const PlanStep& step : small->steps)
    if (step.nodes.size() == 2)
      for (int32_t r : program.nodes[static_cast<size_t>(step.nodes.front())].results)
        CHECK(small->values[static_cast<size_t>(r)].offset == -1);
}

TEST_CASE("values that live together do not overlap; outputs live to the end") {
  const Program program = toy_program();
  auto kernels = fake::one_each();
  for (auto& k : kernels) k.scratch = 777;
  const fake::Set set(std::move(kernels));
  const PlanContext context = context_of(program, set.registry);
  const auto settlement = settle(context, kBuckets);
  const auto plan = make_plan(context, *settlement, kBuckets[1]);
  REQUIRE(plan.ok());
  CHECK(plan->arena_bytes < plan->sum_bytes);
  struct Span {
    int64_t begin, end;
    int32_t first, last;
  };
  std::vector<Span> spans;
  for (const Placed& v : plan->values)
    if (v.offset >= 0 && !v.in_place) spans.push_back({v.offset, v.offset + v.bytes, v.first_step, v.last_step});
  for (size_t s = 0; s < plan->steps.size(); ++s) {
    const PlanStep& step = plan->steps[s];
    spans.push_back({step.scratch_offset, step.scratch_offset + step.scratch_bytes, static_cast<int32_t>(s),
                     static_cast<int32_t>(s)});
  }
  for (size_t a = 0; a < spans.size(); ++a)
    for (size_t b = a + 1; b < spans.size(); ++b)
      if (spans[a].first <= spans[b].last && spans[b].first <= spans[a].last)
        CHECK((spans[a].end <= spans[b].begin || spans[b].end <= spans[a].begin));
  for (const OutputDecl& o : program.outputs)
    if (o.entry == 0)
      CHECK(plan->values[static_cast<size_t>(o.value)].last_step == static_cast<int32_t>(plan->steps.size()) - 1);
  CHECK(std::ranges::any_of(plan->values, &Placed::in_place));
}

TEST_CASE("one order of sums and one layout hold for all buckets") {
  const Program program = toy_program();
  auto kernels = fake::one_each();
  kernels.pop_back();  // linear/1 is told apart here
  kernels.push_back(
      {.id = "linear.small_only", .takes = {"linear/1"}, .numerics = "a", .layouts = {"dense/rows"}, .most_rows = 4});
  kernels.push_back(
      {.id = "linear.small", .takes = {"linear/1"}, .numerics = "b", .layouts = {"dense/tiles"}, .most_rows = 4});
  kernels.push_back({.id = "linear.large", .takes = {"linear/1"}, .numerics = "b", .layouts = {"dense/tiles"}});
  const fake::Set set(std::move(kernels));
  const PlanContext context = context_of(program, set.registry);
  const auto settlement = settle(context, kBuckets);
  REQUIRE_MESSAGE(settlement.ok(), settlement.status().message());
  for (size_t n = 0; n < program.nodes.size(); ++n)
    if (program.nodes[n].op == "linear/1" && program.nodes[n].entry == 0) CHECK(settlement->numerics[n] == "b");
  // The table is tied to the head: one copy, in the product's layout, which the gather reads too.
  CHECK(settlement->layouts[0] == "dense/tiles");
  const auto small = make_plan(context, *settlement, kBuckets[0]), large = make_plan(context, *settlement, kBuckets[1]);
  CHECK(steps_by(*small, "linear.small") > 0);
  CHECK(steps_by(*small, "linear.small_only") == 0);
  CHECK(steps_by(*large, "linear.large") > 0);
}

TEST_CASE("an op without a kernel is refused with every reason") {
  const Program program = toy_program();
  auto kernels = fake::one_each();
  kernels.back().most_rows = 0;
  kernels.push_back({.id = "linear.tiles", .takes = {"linear/1"}, .numerics = ""});
  const fake::Set set(std::move(kernels));
  const auto settlement = settle(context_of(program, set.registry), kBuckets);
  REQUIRE_FALSE(settlement.ok());
  const std::string& said = settlement.status().message();
  for (const char* part : {"linear/1", "toy_family.hpp:", "fake:0", "1 rows, at most 0", "declares no order"})
    CHECK_MESSAGE(said.find(part) != std::string::npos, said);
}

}  // namespace
}  // namespace tare
