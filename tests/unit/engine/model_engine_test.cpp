#include "core/engine/model_engine.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <limits>
#include <thread>

#include "tests/unit/engine/collector.hpp"
#include "tests/unit/engine/fake_executor.hpp"

namespace tare {
namespace {

using testing::Collected;
using testing::Collector;
using testing::FakeControl;
using testing::FakeExecutor;
using Clock = std::chrono::steady_clock;

ExecutorLimits limits() {
  return {.max_step_tokens = 16,
          .max_sequences = 4,
          .context = 128,
          .vocabulary = 1000,
          .groups = {{full(), 4, 64}, {window(7), 4, 24}}};
}
// Order matters: the engine's thread uses control and collector until it ends.
struct Bench {
  explicit Bench(ModelEngineOptions options = {}, ExecutorLimits l = limits()) {
    ServedModel model;
    model.name = "m";
    auto started = ModelEngine::start(model, std::make_unique<FakeExecutor>(l, control), options);
    REQUIRE(started.ok());
    engine = std::move(started).value();
  }
  uint64_t submit(GenerateRequest request) {
    auto id = engine->submit(std::move(request), collector.sink());
    REQUIRE_MESSAGE(id.ok(), id.status().message());
    return *id;
  }
  std::string refusal(GenerateRequest request) {
    return engine->submit(std::move(request), collector.sink()).status().message();
  }
  FakeControl control;
  Collector collector;
  std::unique_ptr<ModelEngine> engine;
};
GenerateRequest request(size_t prompt_tokens, int32_t max_tokens) {
  GenerateRequest r;
  r.model = "m";
  for (size_t i = 0; i < prompt_tokens; ++i) r.prompt.push_back(static_cast<int32_t>(10 + i));
  r.sampling.seed = 42;
  r.max_tokens = max_tokens;
  return r;
}
std::vector<int32_t> expected(const GenerateRequest& r) { return testing::expected_output(r, limits()); }

TEST_CASE("a request gets its tokens one event each, and a last event") {
  Bench bench;
  GenerateRequest r = request(37, 20);
  r.sampling.logprobs = 0;
  const Collected got = bench.collector.wait(bench.submit(r));
  CHECK(got.tokens == expected(r));
  CHECK(got.pieces.size() == 20);
  CHECK(got.drawn_logprobs[3] == -static_cast<float>(got.tokens[3]));
  CHECK(got.last.finish == FinishReason::length);
  CHECK(got.last.prompt_tokens == 37);
  CHECK(got.last.output_tokens == 20);
  const EngineStatistics stats = bench.engine->statistics();
  CHECK(stats.prompt_tokens == 37);
  CHECK(stats.output_tokens == 20);
  CHECK(stats.requests_finished == 1);
  CHECK(stats.steps == 3 + 19);  // the prompt in chunks of 16, then a token a step
  CHECK(stats.state_pages_used == 0);
  CHECK(stats.state_pages_total == 88);
  CHECK(stats.running == 0);
  CHECK(stats.waiting == 0);
}

TEST_CASE("generation ends where the context does") {
  Bench bench;
  const GenerateRequest r = request(120, 1000);
  const Collected got = bench.collector.wait(bench.submit(r));
  CHECK(got.tokens == expected(r));
  CHECK(got.tokens.size() == 8);
  CHECK(got.last.finish == FinishReason::length);
  GenerateRequest unbounded = request(126, 0);
  CHECK(bench.collector.wait(bench.submit(unbounded)).tokens.size() == 2);
}

TEST_CASE("a stop id ends the request and is its last token") {
  Bench bench;
  GenerateRequest r = request(5, 30);
  const std::vector<int32_t> tokens = expected(r);
  r.stop_ids = {tokens[6]};
  const Collected got = bench.collector.wait(bench.submit(r));
  CHECK(got.last.finish == FinishReason::stop);
  CHECK(got.last.stop_match == "");
  CHECK(got.tokens == std::vector<int32_t>(tokens.begin(), tokens.begin() + 7));
}

TEST_CASE("seed, choice and history reach the draw") {
  Bench bench;
  GenerateRequest r = request(5, 12), other_seed = r, other_choice = r, repetition = r, presence = r;
  other_seed.sampling.seed = 43;
  other_choice.choice = 1;
  repetition.sampling.repetition_penalty = 1.5;
  presence.sampling.presence_penalty = 0.5;
  std::vector<std::vector<int32_t>> all;
  for (const GenerateRequest& q : {r, other_seed, other_choice, repetition, presence}) {
    all.push_back(bench.collector.wait(bench.submit(q)).tokens);
    CHECK(all.back() == expected(q));
    for (size_t i = 0; i + 1 < all.size(); ++i) CHECK(all[i] != all.back());
  }
}

TEST_CASE("without a seed two requests differ") {
  Bench bench;
  GenerateRequest r = request(5, 12);
  r.sampling.seed.reset();
  CHECK(bench.collector.wait(bench.submit(r)).tokens != bench.collector.wait(bench.submit(r)).tokens);
}

TEST_CASE("an idle engine takes no step") {
  Bench bench;
  bench.collector.wait(bench.submit(request(3, 3)));
  const int64_t steps = bench.engine->statistics().steps;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(bench.engine->statistics().steps == steps);
  CHECK(bench.control.steps().size() == static_cast<size_t>(steps));
}

TEST_CASE("streams share steps; a long prompt delays them by one chunk at most") {
  Bench bench({.prefill_chunk = 6});
  bench.control.close_gate();
  const uint64_t a = bench.submit(request(4, 40));
  bench.control.await_steps(1);
  const uint64_t b = bench.submit(request(3, 40)), c = bench.submit(request(60, 5));
  bench.control.open_gate();
  for (uint64_t id : {a, b, c}) CHECK(bench.collector.wait(id).last.finish == FinishReason::length);
  size_t shared = 0;
  const std::vector<StepInput> steps = bench.control.steps();
  for (size_t i = 2; i < 12; ++i) {
    // a draws in every step while c's prompt is read; no step has more than the chunk and the streams' rows.
    CHECK(steps[i].sequence_begin[1] == 1);
    CHECK(steps[i].num_tokens() <= 6 + 2);
    shared += steps[i].num_sequences() == 3;
  }
  CHECK(shared >= 9);
}

TEST_CASE("what a model cannot do is refused in one sentence") {
  Bench bench;
  CHECK(bench.refusal(request(129, 1)) == "prompt has 129 tokens, the model takes 128");
  CHECK(bench.refusal(request(128, 1)) == "prompt has 128 tokens, which leaves none of the model's 128 for output");
  CHECK(bench.refusal(request(0, 1)) == "prompt has no tokens, expected at least 1");
  const auto with = [&](auto change) {
    GenerateRequest r = request(4, 4);
    change(r);
    return bench.refusal(r);
  };
  CHECK(with([](auto& r) { r.prompt[2] = 1000; }) == "token of the prompt is 1000, expected 0 to 999");
  CHECK(with([](auto& r) { r.prompt[2] = -1; }) == "token of the prompt is -1, expected 0 to 999");
  CHECK(with([](auto& r) { r.sampling.temperature = -1; }) == "temperature is -1, expected 0 to 10000");
  CHECK(with([](auto& r) { r.sampling.temperature = std::numeric_limits<float>::quiet_NaN(); }) ==
        "temperature is nan, expected 0 to 10000");
  CHECK(with([](auto& r) { r.sampling.top_p = 0; }) == "top_p is 0, expected more than 0 and at most 1");
  CHECK(with([](auto& r) { r.sampling.min_p = 2; }) == "min_p is 2, expected 0 to 1");
  CHECK(with([](auto& r) { r.sampling.top_k = -2; }) == "top_k is -2, expected 0 (off) or more");
  CHECK(with([](auto& r) { r.sampling.repetition_penalty = 0; }) == "repetition_penalty is 0, expected more than 0");
  CHECK(with([](auto& r) { r.sampling.logprobs = 1001; }) == "logprobs is 1001, expected 0 to 1000");
  CHECK(with([](auto& r) {
          r.sampling.logit_bias = {{1000, 1.f}};
        }) == "token of logit_bias is 1000, expected 0 to 999");
  CHECK(with([](auto& r) { r.stop_ids = {5000}; }) == "stop id is 5000, expected 0 to 999");
  CHECK(with([](auto& r) { r.max_tokens = -1; }) == "max_tokens is -1, expected 0 (no bound) or more");
  CHECK(with([](auto& r) { r.stop = {"x"}; }) == "model 'm' has no text: it takes stop ids, not stop strings");
  CHECK(with([](auto& r) { r.echo_logprobs = true; }) == "log probabilities of the prompt's tokens are not supported");
  CHECK(bench.engine->statistics().requests_refused == 17);
  CHECK(bench.control.steps().empty());
}

TEST_CASE("the queue has a bound") {
  Bench bench({.max_queue = 2});
  bench.control.close_gate();
  std::vector<uint64_t> ids{bench.submit(request(3, 3))};
  bench.control.await_steps(1);  // it runs: the queue is empty again
  ids.push_back(bench.submit(request(3, 3)));
  ids.push_back(bench.submit(request(3, 3)));
  CHECK(bench.engine->statistics().waiting == 2);
  const auto refused = bench.engine->submit(request(3, 3), bench.collector.sink());
  CHECK(refused.status().code() == Code::exhausted);
  CHECK(refused.status().message() == "queue of model 'm' is full: 2 requests wait, at most 2 may");
  bench.control.open_gate();
  for (uint64_t id : ids) CHECK(bench.collector.wait(id).tokens.size() == 3);
  bench.collector.wait(bench.submit(request(3, 3)));
}

TEST_CASE("cancelling a stream, a prompt half read and a waiting request gives all pages back") {
  Bench bench;
  bench.control.close_gate();
  const uint64_t stream = bench.submit(request(4, 100));
  bench.control.await_steps(1);
  bench.control.let_through(1);
  bench.control.await_steps(2);
  const uint64_t prompt = bench.submit(request(100, 10));
  std::vector<uint64_t> waiting;
  for (int i = 0; i < 5; ++i) waiting.push_back(bench.submit(request(100, 10)));
  bench.control.let_through(2);
  bench.control.await_steps(4);
  CHECK(bench.engine->statistics().state_pages_used > 0);
  CHECK(bench.engine->statistics().running >= 2);
  for (uint64_t id : {stream, prompt, waiting[4]}) bench.engine->cancel(id);
  bench.control.open_gate();
  for (uint64_t id : {stream, prompt, waiting[4]}) {
    const Collected got = bench.collector.wait(id);
    CHECK(got.last.finish == FinishReason::cancelled);
    CHECK(got.last.error.ok());
  }
  CHECK(bench.collector.now(stream).tokens.size() >= 1);
  CHECK(bench.collector.now(prompt).tokens.empty());
  for (size_t i = 0; i < 4; ++i) CHECK(bench.collector.wait(waiting[i]).tokens == expected(request(100, 10)));
  CHECK(bench.engine->statistics().state_pages_used == 0);
  CHECK(bench.engine->statistics().requests_cancelled == 3);
  bench.engine->cancel(stream);  // ended: ignored
  bench.engine->cancel(12345);   // unknown: ignored
  CHECK(bench.collector.wait(bench.submit(request(3, 3))).tokens.size() == 3);
  CHECK(bench.collector.now(stream).events_after_end == 0);
}

TEST_CASE("a step that fails ends its requests; the engine lives on") {
  Bench bench;
  bench.control.close_gate();
  const uint64_t a = bench.submit(request(4, 50));
  bench.control.await_steps(1);
  const uint64_t b = bench.submit(request(40, 50));
  bench.control.fail(Status(Code::internal, "logits of row 0 are not numbers"));
  bench.control.open_gate();
  const Collected got = bench.collector.wait(a);
  CHECK(got.last.finish == FinishReason::error);
  CHECK(got.last.error.message() == "logits of row 0 are not numbers");
  CHECK(bench.collector.wait(b).tokens == expected(request(40, 50)));  // it was not in that step
  bench.control.throw_once();
  const Collected thrown = bench.collector.wait(bench.submit(request(4, 50)));
  CHECK(thrown.last.finish == FinishReason::error);
  CHECK(thrown.last.error.message() == "the step failed: the fake was told to throw");
  CHECK(bench.engine->statistics().requests_failed == 2);
  CHECK(bench.engine->statistics().state_pages_used == 0);
  CHECK(bench.collector.wait(bench.submit(request(4, 5))).tokens == expected(request(4, 5)));
}

TEST_CASE("a sink that throws cancels its request only") {
  Bench bench;
  int calls = 0;
  const auto id = bench.engine->submit(request(4, 50), [&](const GenerateEvent&) {
    ++calls;
    throw 1;
  });
  REQUIRE(id.ok());
  CHECK(bench.collector.wait(bench.submit(request(4, 20))).tokens.size() == 20);
  bench.engine->shut_down(Clock::now());
  CHECK(calls == 2);  // its first token, and its end
  CHECK(bench.engine->statistics().requests_cancelled == 1);
}

TEST_CASE("a sink may submit and cancel") {
  Bench bench;
  std::atomic<uint64_t> second{0};
  const auto first = bench.engine->submit(request(4, 100), [&](const GenerateEvent& event) {
    if (event.output_tokens == 3 && event.finish == FinishReason::none) {
      second = bench.engine->submit(request(5, 4), bench.collector.sink()).value();
      bench.engine->cancel(event.request);
    }
    bench.collector.add(event);
  });
  REQUIRE(first.ok());
  CHECK(bench.collector.wait(*first).last.finish == FinishReason::cancelled);
  CHECK(bench.collector.wait(second).tokens == expected(request(5, 4)));
}

TEST_CASE("draining refuses new requests and ends the accepted ones") {
  Bench bench;
  bench.control.close_gate();
  const uint64_t a = bench.submit(request(4, 30)), b = bench.submit(request(50, 30));
  CHECK(bench.engine->ready());
  bench.engine->begin_drain();
  CHECK_FALSE(bench.engine->ready());
  const auto refused = bench.engine->submit(request(3, 3), bench.collector.sink());
  CHECK(refused.status().code() == Code::unavailable);
  CHECK(refused.status().message() == "model 'm' is shutting down and takes no more requests");
  bench.control.open_gate();
  bench.engine->shut_down(Clock::now() + std::chrono::minutes(1));
  CHECK(bench.collector.now(a).tokens == expected(request(4, 30)));
  CHECK(bench.collector.now(b).tokens == expected(request(50, 30)));
}

TEST_CASE("at the deadline what still runs is cancelled") {
  Bench bench;
  bench.control.close_gate();
  const uint64_t a = bench.submit(request(4, 100));
  bench.control.await_steps(1);
  const uint64_t b = bench.submit(request(4, 100));
  std::thread opener([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    bench.control.open_gate();
  });
  bench.engine->shut_down(Clock::now() + std::chrono::milliseconds(20));
  opener.join();
  CHECK(bench.collector.now(a).last.finish == FinishReason::cancelled);
  CHECK(bench.collector.now(b).last.finish == FinishReason::cancelled);
  CHECK(bench.engine->statistics().state_pages_used == 0);
  bench.engine->shut_down(Clock::now());  // again: nothing to do
}

TEST_CASE("a model whose pages cannot hold one sequence does not start") {
  FakeControl control;
  ExecutorLimits l = limits();
  l.groups[1].num_pages = 2;
  ServedModel model;
  model.name = "m";
  const auto started = ModelEngine::start(model, std::make_unique<FakeExecutor>(l, control), {});
  CHECK(started.status().message() ==
        "model 'm': state group 1 (window(7)) has 2 pages of 4 tokens, expected at least 3");
}

TEST_CASE("pages bound the context that the model offers") {
  ExecutorLimits l = limits();
  l.groups[0].num_pages = 5;
  Bench bench({}, l);
  CHECK(bench.engine->model().context == 20);
  CHECK(bench.refusal(request(21, 1)) == "prompt has 21 tokens, the model takes 20");
  CHECK(bench.collector.wait(bench.submit(request(12, 0))).tokens.size() == 8);
}

}  // namespace
}  // namespace tare
