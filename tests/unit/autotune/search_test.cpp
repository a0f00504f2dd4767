// Measuring, searching and planning, with clocks and costs made up.
#include <doctest/doctest.h>

#include "autotune/plan/layout_plan.hpp"
#include "autotune/search/search.hpp"

using namespace tare;

namespace {
SearchCandidate named(const std::string& name) { return {name, 0, {}, ""}; }
}  // namespace

TEST_CASE("measuring takes turns, drops the hopeless and stops when medians are certain") {
  double now = 0;
  int launches[3] = {};
  const double cost[3] = {1e-3, 0.9e-3, 5e-3};
  std::vector<Launcher> contestants;
  for (int i = 0; i < 3; ++i)
    contestants.push_back([&, i] {
      now += cost[i], ++launches[i];
      return Status();
    });
  const auto timings = measure(contestants, [&] { return now; }, {.least = 3, .most = 30});
  REQUIRE(timings.ok());
  CHECK((*timings)[1].median == doctest::Approx(0.9e-3));
  CHECK((*timings)[2].dropped);
  CHECK(launches[0] == 3);
  contestants[1] = [] { return Status(Code::internal, "no"); };
  CHECK_FALSE(measure(contestants, [&] { return now; }).ok());
}

TEST_CASE("a search prunes, refuses, resumes, saves each and never leaves the default for less than noise") {
  std::vector<double> cost{10, 8, 3, 9.99};
  std::vector<SearchCandidate> candidates{named("default"), named("a"), named("wrong bits"), named("b")};
  std::vector<size_t> saved;
  SearchCallbacks callbacks;
  callbacks.quick = [&](size_t c) -> Result<SearchCost> {
    return SearchCost{cost[c], 0.1, c == 2 ? "other bits than dense" : ""};
  };
  callbacks.final_round = [&](std::span<const size_t> last) -> Result<std::vector<SearchCost>> {
    std::vector<SearchCost> out;
    for (const size_t c : last) out.push_back({cost[c], 0.1, ""});
    return out;
  };
  callbacks.save = [&](size_t c, const SearchCost&) {
    saved.push_back(c);
    return Status();
  };
  auto outcome = search(candidates, callbacks);
  REQUIRE(outcome.ok());
  CHECK(outcome->best == 1);
  CHECK(*outcome->runner_up == 3);
  CHECK(outcome->refused == 1);
  CHECK(saved == std::vector<size_t>{0, 1, 2, 3});

  cost[1] = 9.98;  // within the noise
  CHECK(search(candidates, callbacks)->best == 0);

  saved.clear();
  candidates[0].known_seconds = 10, candidates[1].known_seconds = 7, candidates[2].refused = "other bits";
  cost[1] = 7, candidates[3].least_seconds = 8;  // cannot be faster than 7
  outcome = search(candidates, callbacks);
  CHECK(outcome->best == 1);
  CHECK(outcome->resumed == 3);
  CHECK(outcome->pruned == 1);
  CHECK(saved.empty());

  // What does not win again makes room for the next that does, or for the default.
  candidates = {named("default"), named("a"), named("wrong bits"), named("b")};
  cost = {10, 7, 3, 8};
  std::vector<size_t> asked;
  std::vector<double> second{10, 10.5, 0, 8.5};
  callbacks.confirm = [&](size_t c) -> Result<std::array<SearchCost, 2>> {
    asked.push_back(c);
    return std::array{SearchCost{second[0], 0.1, ""}, SearchCost{second[c], 0.1, ""}};
  };
  outcome = search(candidates, callbacks);
  CHECK(outcome->best == 3);
  CHECK(outcome->best_cost.seconds == 8.5);
  CHECK(outcome->unconfirmed == 1);
  CHECK(*outcome->runner_up == 1);
  CHECK((asked == std::vector<size_t>{1, 3, 3}));
  second = {10, 10.5, 0, 9.95};
  outcome = search(candidates, callbacks);
  CHECK(outcome->best == 0);
  CHECK(outcome->best_cost.seconds == 10);
  CHECK(outcome->unconfirmed == 2);
  // What wins once more and then not, or by gains that differ more than the smaller one says, is luck.
  for (const double third : {10.05, 9.6}) {
    int times = 0;
    callbacks.confirm = [&](size_t c) -> Result<std::array<SearchCost, 2>> {
      return std::array{SearchCost{10, 0.1, ""}, SearchCost{c == 3 ? 9.99 : times++ == 0 ? 7.0 : third, 0.1, ""}};
    };
    outcome = search(candidates, callbacks);
    CHECK(outcome->best == 0);
    CHECK(outcome->unconfirmed == 2);
  }
  callbacks.confirm = {};

  callbacks.out_of_time = [] { return true; };
  const std::vector<SearchCandidate> fresh{named("default"), named("a")};
  outcome = search(fresh, callbacks);
  CHECK_FALSE(outcome->complete);
  CHECK(outcome->best == 0);
  CHECK_FALSE(search({}, callbacks).ok());
}

TEST_CASE("plans are as good as trying everything, and say what does not fit") {
  const std::vector<LayoutItem> items{{"q", 3, {{"dense", 160, 10}, {"w12", 120, 8}, {"w11", 113, 9}}},
                                      {"o", 2, {{"dense", 100, 4}, {"w12", 76, 6}, {"w11", 71, 7}}}};
  for (int64_t budget = 0; budget < 700; budget += 7) {
    double best = 1e9;  // every way to give 3 and 2 matrices one of 3 layouts
    for (int a = 0; a < 243; ++a) {
      int64_t bytes = 0;
      double seconds = 0;
      for (int i = 0, left = a; i < 5; ++i, left /= 3) {
        const LayoutOption& o = items[i < 3 ? 0 : 1].options[static_cast<size_t>(left % 3)];
        bytes += o.bytes, seconds += o.seconds;
      }
      if (budget == 0 || bytes <= budget) best = std::min(best, seconds);
    }
    const auto plan = plan_layouts(items, budget, PlanObjective::latency);
    INFO("budget ", budget);
    REQUIRE(plan.ok() == (best < 1e9));
    if (!plan.ok()) {
      CHECK(plan.status().message().find("481 bytes") != std::string::npos);
      continue;
    }
    CHECK((budget == 0 || plan->bytes <= budget));
    CHECK(plan->least_seconds <= best + 1e-9);
    CHECK(plan->seconds <= best + 2.0 + 1e-9);  // within one matrix's largest step of the best
  }
  CHECK(plan_layouts(items, 0, PlanObjective::memory)->bytes == 481);
}
