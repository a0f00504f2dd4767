// What was measured changes which kernels run, never what comes out: greedy tokens and logits before and after a
// retune.
#include <doctest/doctest.h>

#include <set>

#include "autotune/store/problem_text.hpp"
#include "tests/golden/layouts/running.hpp"

namespace tare::layouts_test {
namespace {

// An entry for every product of the model's Plans that says another config (or kernel) of the same order of sums than
// the rule would take is the fastest.
std::vector<TuningEntry> retuned(const LoadedModel& model, const DeviceInfo& device, const std::string& numerics = "") {
  std::vector<TuningEntry> out;
  std::set<TuningKey> seen;
  for (const Plan& plan : model.executor->plans())
    for (const PlanStep& step : plan.steps) {
      if (step.problem.first().op != Linear::kOp) continue;
      const std::string wanted = numerics.empty() ? step.choice.numerics : numerics;
      for (const KernelCandidate* kernel : host().registry().beginning_with(device.kind, Linear::kOp)) {
        if (kernel->takes() != step.choice.kernel->takes() || kernel->is_reference() ||
            !kernel->supports(step.problem) || kernel->numerics(step.problem) != wanted ||
            kernel->layouts(step.problem, 0, 0).front() != "dense/cpu-tiles")
          continue;
        const auto space = kernel->space(step.problem);
        TuningEntry e;
        e.key = {device.sku, to_string(step.problem), "dense/cpu-tiles", wanted, rows_point(step.problem.rows)};
        e.value.kernel = kernel->id(), e.value.config = to_string(space.back());
        e.value.us = 1, e.value.exact = true, e.value.hash = kernel->hash(), e.value.date = "2026-01-31";
        if (seen.insert(e.key).second) out.push_back(std::move(e));
      }
    }
  return out;
}
std::shared_ptr<const TuningStore> store_of(const DeviceInfo& device, std::vector<TuningEntry> entries,
                                            std::vector<KeptNumerics> kept = {}) {
  const SkuEntries source{device.sku, device.architecture, device.units, std::move(entries)};
  return std::make_shared<TuningStore>(device, std::span(&source, 1), KernelHashes(), kept);
}
int64_t count(const LoadedModel& model, Ending ending) {
  int64_t out = 0;
  for (const Plan& plan : model.executor->plans())
    for (const PlanStep& step : plan.steps)
      out += step.problem.first().op == Linear::kOp && step.choice.ending == ending ? 1 : 0;
  return out;
}

TEST_CASE("a retune changes the configs that run, and neither a logit nor a token") {
  for (const char* name : {"llama-gqa", "qwen3-plain", "gemma3-plain"}) {
    INFO(name);
    auto golden = golden::read_case(kModels / name);
    REQUIRE(golden.ok());
    auto before = load(kModels / name, "dense");
    REQUIRE_MESSAGE(before.ok(), before.status().message());
    const Generated want = generate(*before->model.executor, *golden);
    CHECK(count(before->model, Ending::exact) == 0);
    const DeviceInfo& device = before->device->info();
    auto after = load(kModels / name, "dense", store_of(device, retuned(before->model, device)));
    REQUIRE_MESSAGE(after.ok(), after.status().message());
    CHECK(count(after->model, Ending::exact) > 0);
    CHECK(count(after->model, Ending::rule) == 0);
    int64_t other = 0;
    for (size_t p = 0; p < after->model.executor->plans().size(); ++p)
      for (size_t s = 0; s < after->model.executor->plans()[p].steps.size(); ++s)
        other += after->model.executor->plans()[p].steps[s].choice.config !=
                 before->model.executor->plans()[p].steps[s].choice.config;
    CHECK(other > 0);
    CHECK(generate(*after->model.executor, *golden) == want);
  }
}

TEST_CASE("an order of sums that was kept stays, whatever other orders' entries say") {
  auto golden = golden::read_case(kModels / "llama-gqa");
  REQUIRE(golden.ok());
  auto by_rule = load(kModels / "llama-gqa", "dense");
  REQUIRE(by_rule.ok());
  const DeviceInfo& device = by_rule->device->info();
  std::vector<KeptNumerics> kept;
  std::string usual;
  for (const PlanStep& step : by_rule->model.executor->plans().front().steps)
    if (step.problem.first().op == Linear::kOp) {
      usual = step.choice.numerics;
      kept.push_back({device.sku, to_string(step.problem), "k-seq-fma"});
    }
  auto first = load(kModels / "llama-gqa", "dense", store_of(device, {}, kept));
  REQUIRE_MESSAGE(first.ok(), first.status().message());
  for (const Plan& plan : first->model.executor->plans())
    for (const PlanStep& step : plan.steps)
      if (step.problem.first().op == Linear::kOp) CHECK(step.choice.numerics == "k-seq-fma");
  const Generated want = generate(*first->model.executor, *golden);
  // A retune that found the usual order faster, and another config of the kept one.
  auto entries = retuned(by_rule->model, device, usual);
  for (TuningEntry& e : retuned(by_rule->model, device, "k-seq-fma")) {
    e.value.us = 2;
    entries.push_back(std::move(e));
  }
  auto second = load(kModels / "llama-gqa", "dense", store_of(device, entries, kept));
  REQUIRE_MESSAGE(second.ok(), second.status().message());
  CHECK(count(second->model, Ending::exact) > 0);
  CHECK(generate(*second->model.executor, *golden) == want);
  // Nothing kept: the order that all entries of a problem share is its own.
  auto shared = load(kModels / "llama-gqa", "dense", store_of(device, retuned(by_rule->model, device, "k-seq-fma")));
  REQUIRE(shared.ok());
  CHECK(generate(*shared->model.executor, *golden) == want);
}

}  // namespace
}  // namespace tare::layouts_test
