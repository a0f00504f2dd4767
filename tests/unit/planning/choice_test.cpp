// One layout for each matrix: by the built-in rule without measurements, by the measured times with them, under a
// budget.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "autotune/store/problem_text.hpp"
#include "core/app/layout_choice.hpp"
#include "core/app/memory_plan.hpp"
#include "core/program/trace.hpp"
#include "tests/unit/plan/fake_kernels.hpp"
#include "tests/unit/program/toy_family.hpp"

namespace tare {
namespace {

// A code of so many bits a weight.
class Coded final : public Layout {
 public:
  Coded(std::string id, double bits) : id_(std::move(id)), bits_(bits) {}
  std::string_view id() const noexcept override { return id_; }
  Verdict supports(const WeightInfo&) const noexcept override { return Verdict::yes(); }
  int64_t bytes(const WeightInfo& w) const noexcept override {
    return static_cast<int64_t>(static_cast<double>(w.outputs() * w.inputs()) * bits_ / 8);
  }
  Status encode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override { return {}; }
  Status decode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override { return {}; }

 private:
  std::string id_;
  double bits_;
};

// Large enough that matrices differ by whole pages from layout to layout.
Config config() { return Config({{"hidden", 4096.0}, {"vocab", 1024.0}, {"ffn", 512.0}, {"layers", 2.0}}); }

struct Bench {
  explicit Bench(std::vector<fake::KernelFacts> more = {}) {
    auto facts = fake::one_each();
    facts.back().layouts = {"dense/tiles"};
    facts.push_back({.id = "w12", .takes = {"linear/1"}, .layouts = {"w12/tiles"}});
    facts.push_back({.id = "w11", .takes = {"linear/1"}, .layouts = {"w11/tiles"}});
    for (auto& f : more) facts.push_back(std::move(f));
    for (auto& f : facts) kernels.push_back(std::make_unique<fake::Kernel>(std::move(f)));
    for (const auto& [id, bits] : std::vector<std::pair<std::string, double>>{
             {"dense/rows", 16}, {"dense/tiles", 16}, {"w12/tiles", 12}, {"w11/tiles", 11.4}, {"odd/tiles", 2}})
      layouts.push_back(std::make_unique<Coded>(id, bits));
    std::vector<const KernelCandidate*> k;
    std::vector<const Layout*> l;
    for (const auto& x : kernels) k.push_back(x.get());
    for (const auto& x : layouts) l.push_back(x.get());
    registry = Registry(k, l);
  }
  PlanContext context() const {
    return {.program = program, .entry = 0, .registry = registry, .ops = ops, .device = device, .chosen_layouts = {}};
  }
  Result<LayoutChoice> choose(const LayoutAim& aim, const TuningStore* tuning = nullptr) const {
    return choose_layouts(context(), buckets, aim, tuning, {.gb_s = 1, .tflops = 0, .launch_seconds = 0, .basis = ""});
  }
  // How many weights lie in each layout.
  std::map<std::string, int> count(const LayoutChoice& choice) const {
    std::map<std::string, int> out;
    for (const std::string& l : choice.layouts)
      if (!l.empty()) ++out[l];
    return out;
  }
  int64_t bytes(const LayoutChoice& choice) const {
    int64_t out = 0;
    for (size_t w = 0; w < choice.layouts.size(); ++w) {
      const Layout* layout = registry.layout(choice.layouts[w].empty() ? "dense/rows" : choice.layouts[w]);
      out += laid_out_bytes(program, static_cast<int32_t>(w), *layout);
    }
    return out;
  }
  // An entry for every product and layout: `us(layout, rows)`.
  TuningStore measured(const std::function<double(std::string_view, int64_t)>& us,
                       const std::string& numerics = "n") const {
    const auto settlement = settle(context(), buckets);
    REQUIRE(settlement.ok());
    std::map<TuningKey, TuningEntry> entries;
    for (const Bucket& bucket : buckets) {
      const auto plan = make_plan(context(), *settlement, bucket);
      REQUIRE(plan.ok());
      for (const PlanStep& step : plan->steps)
        for (const char* layout : {"dense/tiles", "w12/tiles", "w11/tiles"}) {
          if (step.problem.first().op != Linear::kOp) continue;
          TuningEntry e;
          e.key = {"fake", to_string(step.problem), layout, numerics, rows_point(step.problem.rows)};
          e.value.kernel = layout[0] == 'd' ? "any.linear/1" : std::string(layout, 3);
          e.value.config = "{default = true}", e.value.us = us(layout, step.problem.rows), e.value.exact = true;
          entries[e.key] = e;
        }
    }
    SkuEntries source{"fake", "none", 1, {}};
    for (auto& [key, e] : entries) source.entries.push_back(e);
    return TuningStore(device, std::span(&source, 1), {});
  }

  const OpTable ops = builtin_ops();
  const Program program = with_sampling(*trace(toy::family(), config(), {.dtype = DType::bf16}, ops));
  const DeviceInfo device{
      .id = "fake:0", .kind = "fake", .name = "a fake", .architecture = "none", .sku = "fake", .features = {}};
  const std::vector<Bucket> buckets{{1, 1, 1}, {2, 2, 2}, {64, 8, 8}};
  std::vector<std::unique_ptr<fake::Kernel>> kernels;
  std::vector<std::unique_ptr<Coded>> layouts;
  Registry registry;
};

TEST_CASE("without measurements the built-in rule holds: latency plain, balanced w12, memory w11") {
  const Bench bench;
  for (const auto& [objective, layout] : std::vector<std::pair<Objective, std::string>>{
           {Objective::latency, "dense/tiles"}, {Objective::balanced, "w12/tiles"}, {Objective::memory, "w11/tiles"}}) {
    const auto choice = bench.choose({.objective = objective});
    REQUIRE_MESSAGE(choice.ok(), choice.status().message());
    const auto counts = bench.count(*choice);
    CHECK(counts.size() == 1);
    CHECK(counts.begin()->first == layout);
    CHECK_FALSE(choice->measured);
  }
}

TEST_CASE("a budget takes smaller layouts until it holds, and what cannot fit is refused with figures") {
  const Bench bench;
  const int64_t plain = bench.bytes(*bench.choose({}));
  const int64_t least = bench.bytes(*bench.choose({.objective = Objective::memory}));
  REQUIRE(least < plain);
  std::map<std::string, int> before;
  for (const int64_t budget : {plain, (plain + least) / 2, least}) {
    const auto choice = bench.choose({.weight_bytes = budget});
    REQUIRE_MESSAGE(choice.ok(), choice.status().message());
    CHECK(bench.bytes(*choice) <= budget);
    CHECK(bench.count(*choice) != before);
    before = bench.count(*choice);
  }
  const auto refused = bench.choose({.weight_bytes = least - 1});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == Code::exhausted);
  CHECK(refused.status().message().find(std::to_string(least)) != std::string::npos);
  CHECK(refused.status().message().find(std::to_string(least - 1)) != std::string::npos);
}

TEST_CASE("measured times decide, and a mix weighs them by its shares") {
  const Bench bench;
  // w12 is faster for one row, plain numbers for many.
  const TuningStore tuning = bench.measured([](std::string_view layout, int64_t rows) {
    return layout[0] == 'd' ? (rows == 1 ? 100.0 : 200.0) : layout == "w12/tiles" ? (rows == 1 ? 80.0 : 260.0) : 300.0;
  });
  const auto latency = bench.choose({}, &tuning);
  REQUIRE(latency.ok());
  CHECK(latency->measured);
  CHECK(bench.count(*latency).count("w12/tiles") == 1);
  CHECK(bench.count(*latency).size() == 1);
  const auto batches = bench.choose({.objective = Objective::mix, .mix = {{1, 0.2}, {64, 0.8}}}, &tuning);
  REQUIRE(batches.ok());
  // All but the logits, of which a prompt of 64 tokens has one row: these are as fast as in a step of one token.
  CHECK(bench.count(*batches).at("w12/tiles") == 1);
  CHECK(bench.count(*batches).size() == 2);
  // 0.2 * 100 + 0.8 * 200 for each product of tokens.
  int products = 0;
  for (const Node& node : bench.program.nodes) products += node.op == Linear::kOp && node.entry == 0;
  CHECK(batches->seconds == doctest::Approx((products - 1) * 180e-6 + 80e-6));
  const auto few = bench.choose({.objective = Objective::mix, .mix = {{1, 0.9}, {64, 0.1}}}, &tuning);
  CHECK(bench.count(*few).count("w12/tiles") == 1);
}

TEST_CASE("throughput aims at full steps, and plans for it shrink with the budget") {
  const LayoutAim full{.objective = Objective::throughput, .sequences = 8, .step_tokens = 64};
  const std::vector<BatchShare> shares = full.shares();
  REQUIRE(shares.size() == 2);
  CHECK(shares[0].rows == 8);
  CHECK(shares[1].rows == 64);
  // 64 answered tokens are 8 steps of 8; their 256 prompt tokens are 4 steps of 64.
  CHECK(shares[0].share == doctest::Approx(2.0 / 3));
  CHECK(shares[1].share == doctest::Approx(1.0 / 3));
  CHECK(LayoutAim{.objective = Objective::throughput, .sequences = 8, .step_tokens = 4}.shares()[0].rows == 4);

  const Bench bench;
  // Codes are faster for one row and slower for many.
  const TuningStore tuning = bench.measured([](std::string_view layout, int64_t rows) {
    return layout[0] == 'd'        ? (rows == 1 ? 100.0 : 200.0)
           : layout == "w12/tiles" ? (rows == 1 ? 80.0 : 220.0)
                                   : (rows == 1 ? 75.0 : 240.0);
  });
  CHECK(bench.count(*bench.choose({}, &tuning)).count("w11/tiles") == 1);
  const auto free = bench.choose(full, &tuning);
  REQUIRE(free.ok());
  CHECK(bench.count(*free).size() == 1);
  CHECK(bench.count(*free).count("dense/tiles") == 1);
  const int64_t plain = bench.bytes(*free);
  const int64_t least = bench.bytes(*bench.choose({.objective = Objective::memory}, &tuning));
  std::vector<std::map<std::string, int>> plans;
  for (const double share : {1.0, 0.4, 0.05}) {
    LayoutAim aim = full;
    aim.weight_bytes = least + static_cast<int64_t>(share * static_cast<double>(plain - least));
    const auto choice = bench.choose(aim, &tuning);
    REQUIRE_MESSAGE(choice.ok(), choice.status().message());
    CHECK(bench.bytes(*choice) <= aim.weight_bytes);
    CHECK(choice->measured);
    for (const auto& other : plans) CHECK(other != bench.count(*choice));
    plans.push_back(bench.count(*choice));
  }
}

TEST_CASE("a layout that only another order of sums reads is never chosen") {
  const Bench bench({{.id = "odd", .takes = {"linear/1"}, .numerics = "other", .layouts = {"odd/tiles"}}});
  const auto choice = bench.choose({.objective = Objective::memory});
  REQUIRE(choice.ok());
  CHECK(bench.count(*choice).count("odd/tiles") == 0);
  const Bench same({{.id = "odd", .takes = {"linear/1"}, .numerics = "n", .layouts = {"odd/tiles"}}});
  CHECK(same.count(*same.choose({.objective = Objective::memory})).count("odd/tiles") == 1);
}

TEST_CASE("a step's time is the sum of what was measured, and bytes over bandwidth for the rest") {
  const Bench bench;
  const auto settlement = settle(bench.context(), bench.buckets);
  REQUIRE(settlement.ok());
  const auto plan = make_plan(bench.context(), *settlement, bench.buckets.front());
  REQUIRE(plan.ok());
  const DeviceRates rates{.gb_s = 2, .tflops = 0, .launch_seconds = 1e-6, .basis = ""};
  const StepCase what{.context = 0};
  const auto estimated = predict(*plan, bench.program, *settlement, bench.registry, nullptr, rates, what);
  CHECK(estimated.measured == 0);
  int64_t bytes = 0, launches = 0;
  for (const PlanStep& step : plan->steps) {
    if (step.problem.first().op != Linear::kOp) continue;
    ++launches;
    for (const int32_t w : step.weights)
      if (w >= 0)
        bytes += laid_out_bytes(bench.program, w, *bench.registry.layout(settlement->layouts[static_cast<size_t>(w)]));
    for (const auto* values : {&step.inputs, &step.outputs})
      for (const int32_t v : *values) bytes += plan->bucket.bytes(bench.program.values[static_cast<size_t>(v)].info);
  }
  CHECK(estimated.products == doctest::Approx(static_cast<double>(bytes) / 2e9 + static_cast<double>(launches) * 1e-6));
  const TuningStore tuning = bench.measured([](std::string_view, int64_t) { return 50.0; });
  const auto measured = predict(*plan, bench.program, *settlement, bench.registry, &tuning, rates, what);
  CHECK(measured.products == doctest::Approx(static_cast<double>(launches) * 50e-6));
  CHECK(measured.measured == measured.products);
  CHECK(measured.other == doctest::Approx(estimated.other));
  // State that is read costs its bytes.
  const auto longer =
      predict(*plan, bench.program, *settlement, bench.registry, &tuning, rates, StepCase{.context = 1000});
  CHECK(longer.other > measured.other);
}

TEST_CASE("state has what weights and workspace leave, and less of it when weights grew") {
  const Bench bench;
  const ExecutorOptions executor{.context = 32768, .max_step_tokens = 64, .max_sequences = 8};
  MemoryPlan memory{.weights = 63 << 20, .workspace = 1 << 18};
  std::vector<int32_t> pages;
  const int64_t budget = 64 << 20;
  REQUIRE(size_state(bench.program, executor, budget, "toy", memory, pages).ok());
  CHECK(memory.total() <= budget);
  const int64_t before = memory.state_tokens;
  CHECK(before > 0);
  memory.weights += 1 << 19;
  REQUIRE(size_state(bench.program, executor, budget, "toy", memory, pages).ok());
  CHECK(memory.total() <= budget);
  CHECK(memory.state_tokens < before);
  memory.weights = budget;
  const Status refused = size_state(bench.program, executor, budget, "toy", memory, pages);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.message() ==
        "toy needs 67108864 bytes for weights and 262144 for workspace, the budget is 67108864 bytes");
}

}  // namespace
}  // namespace tare
