// What each parameter does, for the oracle and for the fast path.
#include <doctest/doctest.h>

#include "tests/unit/sampling/rows.hpp"

namespace tare::sampling {
namespace {

using testing::Draw;
using testing::support;
using Ids = std::set<int32_t>;

constexpr Draw kBoth[] = {reference, fast};
SamplingRow greedy() {
  SamplingRow row;
  row.temperature = 0;
  return row;
}
int32_t drawn(Draw draw, const std::vector<float>& logits, const SamplingRow& row) {
  SampledLogprobs unused;
  const auto id = draw(logits, row, unused);
  REQUIRE_MESSAGE(id.ok(), id.status().message());
  return *id;
}
std::string refusal(Draw draw, const std::vector<float>& logits, const SamplingRow& row) {
  SampledLogprobs unused;
  return draw(logits, row, unused).status().message();
}

TEST_CASE("temperature 0 takes the largest, of equal ones the lower id") {
  for (Draw draw : kBoth) {
    CHECK(drawn(draw, {1, 3, 2}, greedy()) == 1);
    CHECK(drawn(draw, {1, 3, 2, 3, 3}, greedy()) == 1);
    CHECK(drawn(draw, {-INFINITY, -5, -INFINITY}, greedy()) == 1);
    std::vector<float> wide(50000, 0.25f);
    wide[40000] = wide[49999] = 0.5f;
    CHECK(drawn(draw, wide, greedy()) == 40000);
    CHECK(drawn(draw, {7}, greedy()) == 0);
  }
}

TEST_CASE("a high temperature flattens, a low one sharpens") {
  const std::vector<float> logits{0, 1, 2, 3};
  for (Draw draw : kBoth) {
    SamplingRow row;
    row.temperature = 100;
    auto counts = testing::histogram(draw, logits, row, 4000);
    for (int32_t id = 0; id < 4; ++id) CHECK(counts[id] > 800);
    row.temperature = 0.1f;
    counts = testing::histogram(draw, logits, row, 4000);
    CHECK(counts[3] > 3950);
    row.temperature = 1e-38f;
    CHECK(support(draw, logits, row) == Ids{3});
  }
}

TEST_CASE("top_k keeps the k likeliest; ties go to the lower ids") {
  SamplingRow row;
  for (Draw draw : kBoth) {
    row.top_k = 2;
    CHECK(support(draw, {0, 2, 1, 2.5f, 0.5f}, row) == Ids{1, 3});
    CHECK(support(draw, {1, 1, 1, 1}, row) == Ids{0, 1});
    row.top_k = 1;
    CHECK(support(draw, {0, 2, 2, 1}, row) == Ids{1});
    row.top_k = 100;
    CHECK(support(draw, {1, 1, 1, 1}, row) == Ids{0, 1, 2, 3});
  }
}

TEST_CASE("top_p keeps the smallest set that reaches it, at least one token") {
  // Probabilities 1/2, 1/4, 1/8, 1/8.
  const float ln2 = std::log(2.0f);
  const std::vector<float> logits{0, -2 * ln2, -ln2, -2 * ln2};
  SamplingRow row;
  for (Draw draw : kBoth) {
    row.top_p = 0.45f;
    CHECK(support(draw, logits, row) == Ids{0});
    row.top_p = 0.55f;
    CHECK(support(draw, logits, row) == Ids{0, 2});
    row.top_p = 0.8f;
    CHECK(support(draw, logits, row) == Ids{0, 1, 2});
    row.top_p = 0.9f;
    CHECK(support(draw, logits, row) == Ids{0, 1, 2, 3});
    row.top_p = 1e-9f;
    CHECK(support(draw, logits, row) == Ids{0});
  }
}

TEST_CASE("top_p counts the probabilities that top_k has left") {
  const std::vector<float> logits{0, 0, 0, 0};
  SamplingRow row;
  row.top_k = 2, row.top_p = 0.4f;  // of the two that are left each has 1/2
  for (Draw draw : kBoth) CHECK(support(draw, logits, row) == Ids{0});
  row.top_p = 0.6f;
  for (Draw draw : kBoth) CHECK(support(draw, logits, row) == Ids{0, 1});
}

TEST_CASE("min_p drops what is less likely than its share of the likeliest") {
  const float ln2 = std::log(2.0f);
  const std::vector<float> logits{0, -ln2, -2 * ln2, -3 * ln2};  // 1, 1/2, 1/4, 1/8 of the likeliest
  SamplingRow row;
  for (Draw draw : kBoth) {
    row.min_p = 0.3f;
    CHECK(support(draw, logits, row) == Ids{0, 1});
    row.min_p = 0.2f;
    CHECK(support(draw, logits, row) == Ids{0, 1, 2});
    row.min_p = 1;
    CHECK(support(draw, logits, row) == Ids{0});
    row.min_p = 0.3f, row.temperature = 2;  // after temperature: 1, 0.71, 0.5, 0.35
    CHECK(support(draw, logits, row) == Ids{0, 1, 2, 3});
    row.temperature = 1;
  }
}

TEST_CASE("a bias is added to its logit") {
  const std::vector<std::pair<int32_t, float>> bias{{2, 5.0f}, {0, -100.0f}, {2, 1.0f}};
  SamplingRow row = greedy();
  row.bias = bias;
  for (Draw draw : kBoth) {
    CHECK(drawn(draw, {9, 8, 3, 0}, row) == 2);  // 3 + 5 + 1 = 9
    CHECK(drawn(draw, {9, 8, 1, 0}, row) == 1);
  }
}

TEST_CASE("the repetition penalty divides positive logits and multiplies negative ones, once a token") {
  const std::vector<int32_t> prompt{0, 0, 0}, output{1};
  SamplingRow row = greedy();
  row.repetition_penalty = 2, row.prompt = prompt, row.output = output;
  for (Draw draw : kBoth) {
    CHECK(drawn(draw, {4, 3, 1.9f}, row) == 0);     // 2, 1.5, 1.9: three times in the prompt counts once
    CHECK(drawn(draw, {4, 3, 2.1f}, row) == 2);     // 2, 1.5, 2.1
    CHECK(drawn(draw, {-1, -1, -1.9f}, row) == 2);  // -2, -2, -1.9
  }
}

TEST_CASE("frequency and presence penalties look at the output only") {
  const std::vector<int32_t> prompt{3, 3, 3}, output{0, 0, 1};
  SamplingRow row = greedy();
  row.prompt = prompt, row.output = output;
  for (Draw draw : kBoth) {
    row.frequency_penalty = 1, row.presence_penalty = 0;
    CHECK(drawn(draw, {5, 3.9f, 2.8f, 0}, row) == 0);     // 3, 2.9, 2.8
    CHECK(drawn(draw, {4.7f, 3.9f, 2.8f, 0}, row) == 1);  // 2.7, 2.9, 2.8
    CHECK(drawn(draw, {0, 0, 2.8f, 2.9f}, row) == 3);     // the prompt's tokens stay as they are
    row.frequency_penalty = 0, row.presence_penalty = 1;
    CHECK(drawn(draw, {5, 3.9f, 4.1f, 0}, row) == 2);  // 4, 2.9, 4.1: twice counts once
    row.frequency_penalty = -1;
    CHECK(drawn(draw, {3, 4.5f, 0, 0}, row) == 1);  // 3 + 2 - 1, 4.5 + 1 - 1
  }
}

TEST_CASE("seed, choice and position choose the token, and nothing else does") {
  const std::vector<float> logits(1000, 0.0f);
  for (Draw draw : kBoth) {
    SamplingRow row;
    row.seed = 7, row.choice = 1, row.position = 30;
    const int32_t id = drawn(draw, logits, row);
    CHECK(drawn(draw, logits, row) == id);
    SamplingRow other = row;
    other.seed = 8;
    CHECK(drawn(draw, logits, other) != id);
    other = row, other.choice = 2;
    CHECK(drawn(draw, logits, other) != id);
    other = row, other.position = 31;
    CHECK(drawn(draw, logits, other) != id);
  }
}

TEST_CASE("log probabilities are of the raw logits, most likely first") {
  const std::vector<float> logits{1, 4, 2, 4, -INFINITY};
  double sum = 0;
  for (float v : logits) sum += std::exp(static_cast<double>(v));
  const std::vector<std::pair<int32_t, float>> bias{{0, 50.0f}};
  SamplingRow row = greedy();
  row.bias = bias, row.logprobs = 3;
  for (Draw draw : kBoth) {
    SampledLogprobs got;
    const auto id = draw(logits, row, got);
    REQUIRE(id.ok());
    CHECK(*id == 0);
    CHECK(got.drawn == doctest::Approx(1 - std::log(sum)).epsilon(1e-5));
    REQUIRE(got.top.size() == 3);
    CHECK(got.top[0].id == 1);
    CHECK(got.top[1].id == 3);
    CHECK(got.top[2].id == 2);
    CHECK(got.top[0].logprob == doctest::Approx(4 - std::log(sum)).epsilon(1e-5));
    CHECK(got.top[2].logprob == doctest::Approx(2 - std::log(sum)).epsilon(1e-5));
    row.logprobs = 0;
    CHECK(draw(logits, row, got).ok());
    CHECK(got.top.empty());
    row.logprobs = 3;
  }
}

TEST_CASE("what cannot be drawn from is refused in one sentence") {
  const std::vector<int32_t> far{5}, negative{-1};
  const std::vector<std::pair<int32_t, float>> bias{{3, 1.0f}};
  for (Draw draw : kBoth)
    for (float temperature : {0.0f, 1.0f}) {
      SamplingRow row;
      row.temperature = temperature;
      CHECK(refusal(draw, {0, NAN, 1}, row) == "the logit of token 1 is nan, expected a number");
      CHECK(refusal(draw, {0, 1, INFINITY}, row) == "the logit of token 2 is inf, expected a number");
      CHECK(refusal(draw, {-INFINITY, -INFINITY}, row) ==
            "every logit is -inf, expected at least one token that can be drawn");
      row.presence_penalty = 1, row.output = far;
      CHECK(refusal(draw, {0, 1, 2}, row) == "history has token 5, expected 0 to 2");
      row.output = {}, row.prompt = negative;
      CHECK(refusal(draw, {0, 1, 2}, row) == "history has token -1, expected 0 to 2");
      row.prompt = {}, row.bias = bias;
      CHECK(refusal(draw, {0, 1, 2}, row) == "logit bias has token 3, expected 0 to 2");
    }
}

}  // namespace
}  // namespace tare::sampling
