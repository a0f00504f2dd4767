#include "core/engine/engine_set.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "tests/unit/engine/collector.hpp"
#include "tests/unit/engine/fake_executor.hpp"

namespace tare {
namespace {

using testing::Collector;
using testing::FakeControl;
using testing::FakeExecutor;

EngineModel model(std::string name, FakeControl& control, int32_t context) {
  EngineModel m;
  m.model.name = std::move(name);
  m.executor = std::make_unique<FakeExecutor>(ExecutorLimits{.max_step_tokens = 16,
                                                             .max_sequences = 4,
                                                             .context = context,
                                                             .vocabulary = 500,
                                                             .groups = {{full(), 4, 64}}},
                                              control);
  return m;
}
std::vector<EngineModel> two(FakeControl& a, FakeControl& b) {
  std::vector<EngineModel> models;
  models.push_back(model("a", a, 64));
  models.push_back(model("b", b, 32));
  return models;
}
GenerateRequest request(std::string name, int32_t max_tokens) {
  GenerateRequest r;
  r.model = std::move(name), r.prompt = {1, 2, 3}, r.max_tokens = max_tokens;
  return r;
}

TEST_CASE("models side by side: each request goes to its own") {
  FakeControl a, b;
  Collector collector;
  auto set = EngineSet::start(two(a, b));
  REQUIRE(set.ok());
  EngineClient& client = **set;
  const auto models = client.models();
  REQUIRE(models.size() == 2);
  CHECK(models[0].name == "a");
  CHECK(models[1].context == 32);
  CHECK(models[1].vocabulary == 500);
  CHECK(client.ready());
  std::vector<uint64_t> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(*client.submit(request(i % 2 ? "b" : "a", 5), collector.sink()));
  std::sort(ids.begin(), ids.end());
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
  for (uint64_t id : ids) CHECK(collector.wait(id).tokens.size() == 5);
  CHECK(client.statistics("a").requests_finished == 3);
  CHECK(client.statistics("b").requests_finished == 3);
  CHECK(client.statistics("c").requests_finished == 0);
}

TEST_CASE("an unknown model is named, with those there are") {
  FakeControl a, b;
  Collector collector;
  auto set = EngineSet::start(two(a, b));
  REQUIRE(set.ok());
  const auto refused = (*set)->submit(request("gpt", 5), collector.sink());
  CHECK(refused.status().code() == Code::not_found);
  CHECK(refused.status().message() == "model 'gpt' is not served here, expected one of: a, b");
}

TEST_CASE("cancel finds the right model; one that is stuck does not hold the other") {
  FakeControl a, b;
  Collector collector;
  auto set = EngineSet::start(two(a, b));
  REQUIRE(set.ok());
  a.close_gate();
  const uint64_t stuck = *(*set)->submit(request("a", 50), collector.sink());
  a.await_steps(1);
  CHECK(collector.wait(*(*set)->submit(request("b", 5), collector.sink())).tokens.size() == 5);
  (*set)->cancel(0);
  (*set)->cancel(stuck);
  a.open_gate();
  CHECK(collector.wait(stuck).last.finish == FinishReason::cancelled);
  CHECK((*set)->statistics("a").requests_cancelled == 1);
}

TEST_CASE("two models of one name, or none, are refused") {
  FakeControl a, b;
  std::vector<EngineModel> twins;
  twins.push_back(model("a", a, 64));
  twins.push_back(model("a", b, 64));
  CHECK(EngineSet::start(std::move(twins)).status().message() ==
        "model name 'a' is given twice, expected one model a name");
  CHECK(EngineSet::start({}).status().message() == "no model to serve, expected at least one");
}

TEST_CASE("shut_down drains every model") {
  FakeControl a, b;
  Collector collector;
  auto set = EngineSet::start(two(a, b));
  REQUIRE(set.ok());
  const uint64_t x = *(*set)->submit(request("a", 40), collector.sink());
  const uint64_t y = *(*set)->submit(request("b", 20), collector.sink());
  (*set)->shut_down(std::chrono::minutes(1));
  CHECK(collector.now(x).tokens.size() == 40);
  CHECK(collector.now(y).tokens.size() == 20);
  CHECK_FALSE((*set)->ready());
  CHECK((*set)->submit(request("a", 1), collector.sink()).status().code() == Code::unavailable);
}

}  // namespace
}  // namespace tare
