#include <doctest/doctest.h>

#include <optional>

#include "core/registry/selection.hpp"
#include "tests/unit/plan/fake_kernels.hpp"

namespace tare {
namespace {

class Tuned final : public TuningLookup {
 public:
  explicit Tuned(std::optional<TunedChoice> choice) : choice_(std::move(choice)) {}
  std::optional<TunedChoice> find(const Problem&, std::string_view, std::string_view) const override { return choice_; }

 private:
  std::optional<TunedChoice> choice_;
};

Problem linear_problem(int64_t rows = 1) {
  Problem p;
  p.device_kind = "fake", p.rows = rows;
  p.ops.push_back({.op = "linear/1", .attributes = {}, .inputs = {}, .results = {}, .weights = {}, .state = {}});
  return p;
}
// Knows problems of one op alone.
class TunedAlone final : public TuningLookup {
 public:
  explicit TunedAlone(TunedChoice choice) : choice_(std::move(choice)) {}
  std::optional<TunedChoice> find(const Problem& problem, std::string_view, std::string_view) const override {
    return problem.ops.size() == 1 ? std::optional(choice_) : std::nullopt;
  }

 private:
  TunedChoice choice_;
};

const fake::Set& set() {
  static const fake::Set s({{.id = "oracle", .takes = {"linear/1"}, .reference = true},
                            {.id = "first", .takes = {"linear/1"}, .most_rows = 8},
                            {.id = "second", .takes = {"linear/1"}}});
  return s;
}

TEST_CASE("what was measured of an op alone serves the chain that it begins, or shows that the chain is none") {
  const fake::Set s({{.id = "other+add", .takes = {"linear/1", "add/1"}},
                     {.id = "one+add", .takes = {"linear/1", "add/1"}, .most_rows = 8, .tuned_as = "one"}});
  const auto candidates = s.registry.beginning_with("fake", "linear/1");
  std::vector<PassedOver> passed;
  const auto choose = [&](TunedChoice tuned, int64_t rows = 1) {
    passed.clear();
    Problem chain = linear_problem(rows);
    chain.ops.push_back({.op = "add/1", .attributes = {}, .inputs = {}, .results = {}, .weights = {}, .state = {}});
    const TunedAlone lookup(std::move(tuned));
    return select(candidates, chain, {}, &lookup, passed);
  };
  const KernelConfig config{{"stages", int64_t{4}}};
  auto choice = choose({"one", config, Ending::exact, "measured here"});
  REQUIRE(choice);
  CHECK(choice->kernel->id() == "one+add");
  CHECK(choice->config == config);
  CHECK(choice->ending == Ending::exact);
  CHECK(choice->note == "measured here, the first op alone");
  CHECK_FALSE(choose({"one", {}, Ending::exact, ""}));  // the chain cannot have what the op alone is best with
  CHECK(passed.front().reason == "tuned, but an empty config");
  CHECK_FALSE(choose({"one", config, Ending::exact, ""}, 9));
  choice = choose({"nobody", config, Ending::exact, ""});  // says nothing of chains
  REQUIRE(choice);
  CHECK(choice->kernel->id() == "other+add");
  CHECK(choice->ending == Ending::rule);
}

TEST_CASE("the four endings are named, and a stored choice that does not fit is passed over with a reason") {
  const auto candidates = set().registry.beginning_with("fake", "linear/1");
  std::vector<PassedOver> passed;
  const auto choose = [&](std::optional<TunedChoice> tuned, int64_t rows = 1) {
    passed.clear();
    const Tuned lookup(std::move(tuned));
    return select(candidates, linear_problem(rows), {}, &lookup, passed);
  };
  auto choice = choose(std::nullopt);
  CHECK(choice->kernel->id() == "first");
  CHECK(choice->ending == Ending::rule);
  for (Ending ending : {Ending::exact, Ending::stale, Ending::nearest}) {
    choice = choose(TunedChoice{"second", {{"prefetch", int64_t{1}}}, ending, "measured elsewhere"});
    CHECK(choice->kernel->id() == "second");
    CHECK(choice->ending == ending);
    CHECK(choice->note == "measured elsewhere");
  }
  choice = choose(TunedChoice{"gone", {{"x", true}}, Ending::exact, ""});
  CHECK(choice->ending == Ending::rule);
  CHECK(passed.front().reason.find("no plugin brings it") != std::string::npos);
  choice = choose(TunedChoice{"second", {}, Ending::exact, ""});  // a config that the kernel does not accept
  CHECK(choice->kernel->id() == "first");
  CHECK(passed.front().reason.find("an empty config") != std::string::npos);
  choice = choose(std::nullopt, 9);
  CHECK(choice->kernel->id() == "second");
  CHECK(passed.front().reason == "9 rows, at most 8");
}

TEST_CASE("references come last, or first in a plan of references") {
  const auto candidates = set().registry.beginning_with("fake", "linear/1");
  CHECK(candidates.back()->id() == "oracle");
  std::vector<PassedOver> passed;
  CHECK(
      select(candidates, linear_problem(), {.numerics = "", .references_only = true}, nullptr, passed)->kernel->id() ==
      "oracle");
  CHECK_FALSE(select(candidates, linear_problem(), {.numerics = "other"}, nullptr, passed));
}

}  // namespace
}  // namespace tare
