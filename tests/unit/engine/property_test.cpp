// Whatever else runs, in whatever order it comes, however prompts are cut and whoever is put back for want of pages: a
// request's tokens are those that it gets alone, all pages come back, and every request ends.
#include <doctest/doctest.h>

#include <random>
#include <thread>

#include "core/engine/model_engine.hpp"
#include "core/engine/wire.hpp"
#include "tests/unit/engine/collector.hpp"
#include "tests/unit/engine/fake_executor.hpp"

namespace tare {
namespace {

using testing::Collected;
using testing::Collector;
using testing::FakeControl;
using testing::FakeExecutor;

// Another rank: every step and its output travel as bytes.
class ThroughBytes final : public Executor {
 public:
  explicit ThroughBytes(std::unique_ptr<Executor> far) : far_(std::move(far)) {}
  ExecutorLimits limits() const override { return far_->limits(); }
  Result<StepOutput> run(const StepInput& step) override {
    TARE_ASSIGN_OR_RETURN(const StepInput received, decode_step(encode(step)));
    TARE_ASSIGN_OR_RETURN(const StepOutput output, far_->run(received));
    return decode_output(encode(output));
  }

 private:
  std::unique_ptr<Executor> far_;
};

struct Case {
  const char* name;
  int32_t chunk;
  std::vector<StateGroupLimits> groups;
  bool tight;          // pages for about two sequences: preemption must happen
  bool bytes = false;  // steps travel in their byte form
};
struct Submitted {
  GenerateRequest request;
  uint64_t id = 0;
  bool cancelled = false;
};

GenerateRequest random_request(std::mt19937_64& random, const ExecutorLimits& l) {
  GenerateRequest r;
  const size_t longest = random() % 4 == 0 ? static_cast<size_t>(l.context) - 1 : 30;
  r.prompt.resize(1 + random() % longest);
  for (int32_t& id : r.prompt) id = static_cast<int32_t>(random() % static_cast<uint64_t>(l.vocabulary));
  r.max_tokens = static_cast<int32_t>(1 + random() % 60);
  r.sampling.seed = random();
  r.choice = static_cast<int32_t>(random() % 3);
  if (random() % 3 == 0) r.sampling.frequency_penalty = 0.5;
  return r;
}

// One run of `requests` requests from two threads; returns how often a sequence was put back.
int64_t storm(const Case& c, uint64_t seed, int requests) {
  std::mt19937_64 random(seed);
  const ExecutorLimits limits{
      .max_step_tokens = 64, .max_sequences = 6, .context = 96, .vocabulary = 5000, .groups = c.groups};
  FakeControl control;
  Collector collector;
  ServedModel model;
  model.name = "m";
  std::unique_ptr<Executor> executor = std::make_unique<FakeExecutor>(limits, control);
  if (c.bytes) executor = std::make_unique<ThroughBytes>(std::move(executor));
  auto engine = ModelEngine::start(model, std::move(executor), {.max_queue = 1000, .prefill_chunk = c.chunk});
  REQUIRE(engine.ok());

  std::vector<Submitted> all(static_cast<size_t>(requests));
  for (Submitted& s : all) s.request = random_request(random, limits);
  const auto submit_half = [&](size_t first, uint64_t half_seed) {
    std::mt19937_64 r(half_seed);
    for (size_t i = first; i < all.size(); i += 2) {
      auto id = (*engine)->submit(all[i].request, collector.sink());
      if (!id.ok()) continue;  // id stays 0, which the checks below do not accept
      all[i].id = *id;
      if (r() % 5 == 0) {
        all[i].cancelled = true;
        if (r() % 2) std::this_thread::sleep_for(std::chrono::microseconds(r() % 300));
        (*engine)->cancel(*id);
      }
      if (r() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(r() % 500));
    }
  };
  std::thread other(submit_half, 1, seed * 2 + 1);
  submit_half(0, seed * 2);
  other.join();

  for (const Submitted& s : all) {
    REQUIRE(s.id != 0);
    const Collected got = collector.wait(s.id);
    REQUIRE(got.ended);
    const std::vector<int32_t> want = testing::expected_output(s.request, limits);
    if (got.last.finish == FinishReason::cancelled) {
      CHECK(s.cancelled);
      REQUIRE(got.tokens.size() <= want.size());
      CHECK(std::equal(got.tokens.begin(), got.tokens.end(), want.begin()));
    } else {
      CHECK_MESSAGE(got.last.finish == FinishReason::length, got.last.error.message());
      CHECK(got.tokens == want);
    }
    CHECK(got.last.output_tokens == static_cast<int32_t>(got.tokens.size()));
  }
  const EngineStatistics stats = (*engine)->statistics();
  CHECK(stats.state_pages_used == 0);
  CHECK(stats.running == 0);
  CHECK(stats.waiting == 0);
  CHECK(stats.requests_finished + stats.requests_cancelled == requests);
  for (const StepInput& step : control.steps()) CHECK(step.num_tokens() <= limits.max_step_tokens);
  for (const Submitted& s : all) CHECK(collector.now(s.id).events_after_end == 0);
  return (*engine)->preemptions();
}

TEST_CASE("the same tokens as alone, in any company") {
  const std::vector<StateGroupLimits> one{{full(), 4, 200}}, one_tight{{full(), 4, 30}},
      mixed{{window(9), 4, 60}, {full(), 8, 100}, {chunk(16), 4, 60}, {recurrent(64), 96, 8}},
      mixed_tight{{window(9), 4, 12}, {full(), 8, 15}, {window(33), 4, 25}};
  const Case cases[] = {
      {"chunks of 1", 1, one, false},
      {"chunks of 7", 7, one, false},
      {"chunks of 64", 64, one, false},
      {"few pages, chunks of 1", 1, one_tight, true},
      {"few pages, chunks of 7", 7, one_tight, true},
      {"few pages, chunks of 64", 64, one_tight, true},
      {"four groups", 7, mixed, false},
      {"three groups with few pages", 7, mixed_tight, true},
      {"three groups with few pages, chunks of 64", 64, mixed_tight, true},
      {"steps as bytes", 7, mixed_tight, true, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    int64_t preemptions = 0;
    for (uint64_t seed = 1; seed <= 4; ++seed) preemptions += storm(c, seed, 40);
    if (c.tight) CHECK(preemptions > 0);
  }
}

TEST_CASE("the oldest request is never put back: it ends within the steps that it needs") {
  const ExecutorLimits limits{
      .max_step_tokens = 16, .max_sequences = 6, .context = 64, .vocabulary = 5000, .groups = {{full(), 4, 16}}};
  FakeControl control;
  Collector collector;
  ServedModel model;
  model.name = "m";
  auto engine = ModelEngine::start(model, std::make_unique<FakeExecutor>(limits, control), {.max_queue = 100});
  REQUIRE(engine.ok());
  control.close_gate();
  GenerateRequest r;
  r.prompt = {1, 2, 3}, r.max_tokens = 50, r.sampling.seed = 1;
  std::vector<uint64_t> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(*(*engine)->submit(r, collector.sink()));
  control.open_gate();
  for (uint64_t id : ids) CHECK(collector.wait(id).tokens == testing::expected_output(r, limits));
  CHECK((*engine)->preemptions() > 0);
  // The first 50 steps each gave the oldest one a token.
  const auto steps = control.steps();
  for (size_t i = 0; i < 50; ++i) CHECK(steps[i].context_lengths[0] == static_cast<int32_t>(3 + i));
}

}  // namespace
}  // namespace tare
