// The fast path gives the oracle's tokens and log probabilities, bit for bit, whatever the row.
#include <doctest/doctest.h>

#include "plugins/sampling/scan.hpp"
#include "plugins/sampling/weight.hpp"
#include "tests/unit/sampling/rows.hpp"

namespace tare::sampling {
namespace {

using Random = std::mt19937_64;

struct RandomRow {
  std::vector<float> logits;
  std::vector<int32_t> prompt, output;
  std::vector<std::pair<int32_t, float>> bias;
  SamplingRow row;
};
RandomRow random_row(Random& random) {
  constexpr size_t kSizes[] = {1, 2, 17, 64, 100, 1000, 1024, 3000};
  const auto chance = [&](uint64_t n) { return random() % n == 0; };
  const auto unit = [&] { return static_cast<float>(random() % 10000 + 1) / 10000; };
  RandomRow r;
  const size_t vocabulary = kSizes[random() % std::size(kSizes)];
  r.logits = testing::random_logits(random, vocabulary, chance(3) ? 0.5f : 4.0f);
  if (chance(3))
    for (float& v : r.logits) v = std::round(v);  // ties
  if (chance(4))
    for (size_t i = 1; i < vocabulary; i += 2) r.logits[i] = -INFINITY;
  const auto id = [&] { return static_cast<int32_t>(random() % vocabulary); };
  for (uint64_t i = random() % 50; i != 0; --i) r.prompt.push_back(id());
  for (uint64_t i = random() % 50; i != 0; --i) r.output.push_back(id());
  if (chance(3))
    for (uint64_t i = random() % 6; i != 0; --i) r.bias.push_back({id(), unit() * 10 - 5});
  SamplingRow& row = r.row;
  constexpr float kTemperatures[] = {0, 0.1f, 0.7f, 1, 1, 1.5f, 10};
  row.temperature = kTemperatures[random() % std::size(kTemperatures)];
  if (chance(2)) row.top_k = static_cast<int32_t>(random() % (chance(2) ? 60 : vocabulary + 5));
  if (chance(2)) row.top_p = unit();
  if (chance(3)) row.min_p = unit() * (chance(2) ? 1.0f : 0.05f);
  if (chance(3)) row.frequency_penalty = unit() * 4 - 2;
  if (chance(3)) row.presence_penalty = unit() * 4 - 2;
  if (chance(3)) row.repetition_penalty = 0.5f + unit();
  row.seed = random(), row.choice = static_cast<int32_t>(random() % 4);
  row.position = static_cast<int32_t>(random() % 100000);
  if (chance(3)) row.logprobs = static_cast<int32_t>(random() % 25);
  return r;
}

TEST_CASE("thousands of random rows: the oracle's token, the oracle's log probabilities") {
  Random random(11);
  for (int i = 0; i < 3000; ++i) {
    RandomRow r = random_row(random);
    r.row.prompt = r.prompt, r.row.output = r.output, r.row.bias = r.bias;
    SampledLogprobs want_logprobs, got_logprobs;
    const auto want = reference(r.logits, r.row, want_logprobs);
    const auto got = fast(r.logits, r.row, got_logprobs);
    CAPTURE(i);
    REQUIRE_MESSAGE(want.ok(), want.status().message());
    REQUIRE_MESSAGE(got.ok(), got.status().message());
    CHECK(*got == *want);
    CHECK(got_logprobs.drawn == want_logprobs.drawn);
    REQUIRE(got_logprobs.top.size() == want_logprobs.top.size());
    for (size_t t = 0; t < want_logprobs.top.size(); ++t) {
      CHECK(got_logprobs.top[t].id == want_logprobs.top[t].id);
      CHECK(got_logprobs.top[t].logprob == want_logprobs.top[t].logprob);
    }
  }
}

TEST_CASE("a wide vocabulary, with large sets to cut") {
  Random random(12);
  for (int i = 0; i < 12; ++i) {
    const std::vector<float> logits = testing::random_logits(random, 20000, i % 2 ? 0.1f : 3.0f);
    SamplingRow row;
    row.seed = random();
    row.temperature = i % 5 == 0 ? 0.01f : i % 5 == 1 ? 100 : 1;
    if (i % 3 == 1) row.top_k = i % 2 ? 600 : 5000;
    if (i % 3 != 0) row.top_p = i % 4 ? 0.999f : 0.5f;
    SampledLogprobs unused;
    CHECK(*fast(logits, row, unused) == *reference(logits, row, unused));
  }
}

TEST_CASE("a refused row is refused by both in the same words") {
  Random random(13);
  for (int i = 0; i < 300; ++i) {
    RandomRow r = random_row(random);
    r.row.prompt = r.prompt, r.row.output = r.output, r.row.bias = r.bias;
    r.logits[random() % r.logits.size()] = i % 2 ? NAN : INFINITY;
    SampledLogprobs unused;
    const auto want = reference(r.logits, r.row, unused), got = fast(r.logits, r.row, unused);
    REQUIRE_FALSE(want.ok());
    REQUIRE_FALSE(got.ok());
    CHECK(got.status().message() == want.status().message());
  }
}

TEST_CASE("most_likely is the beginning of the sorted row at every count") {
  Random random(14);
  for (size_t vocabulary : {1, 63, 64, 65, 2000}) {
    std::vector<float> x = testing::random_logits(random, vocabulary, 2);
    for (float& v : x) v = std::round(v * 4) / 4;
    std::vector<Candidate> all;
    for (size_t i = 0; i < x.size(); ++i) all.push_back({x[i], static_cast<int32_t>(i)});
    std::sort(all.begin(), all.end());
    for (size_t count : {0, 1, 2, 20, 64, 512, 513, 1999, 5000}) {
      const std::vector<Candidate> best = most_likely(x, count);
      REQUIRE(best.size() == std::min(count, x.size()));
      for (size_t i = 0; i < best.size(); ++i) CHECK(best[i].id == all[i].id);
    }
  }
}

TEST_CASE("sums and maxima are those of the plain loop") {
  Random random(15);
  for (size_t vocabulary : {1, 15, 16, 17, 1023, 1024, 1025, 5000}) {
    const std::vector<float> x = testing::random_logits(random, vocabulary, 5);
    size_t best = 0;
    for (size_t i = 0; i < x.size(); ++i)
      if (x[i] > x[best]) best = i;
    const Largest largest = find_largest(x);
    CHECK(largest.good);
    CHECK(largest.id == static_cast<int32_t>(best));
    CHECK(largest.logit == x[best]);
    const Scale scale{.largest = x[best], .factor = halvings_per_logit(0.8f)};
    for (uint64_t least : {uint64_t{0}, kOne / 100})
      for (const Candidate last : {Cut{}.last, Candidate{x[vocabulary / 2], static_cast<int32_t>(vocabulary / 2)},
                                   Candidate{x[vocabulary / 2], static_cast<int32_t>(vocabulary / 2) - 1}}) {
        const Cut cut{.last = last, .least = least};
        uint64_t sum = 0;
        for (size_t i = 0; i < x.size(); ++i) {
          const uint64_t w = weight((scale.largest - x[i]) * scale.factor);
          if (w >= least && !(last < Candidate{x[i], static_cast<int32_t>(i)})) sum += w;
        }
        CHECK(sum_weights(x, 0, scale, cut) == sum);
      }
  }
}

}  // namespace
}  // namespace tare::sampling
