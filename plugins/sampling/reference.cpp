// The oracle: README.md's definition step by step, everything sorted, nothing skipped.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "plugins/sampling/philox.hpp"
#include "plugins/sampling/sample.hpp"
#include "plugins/sampling/weight.hpp"

namespace tare::sampling {
namespace {

Status check(std::span<const float> logits, const SamplingRow& row) {
  bool any = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == INFINITY) return refuse_logit(i, logits[i]);
    any |= logits[i] != -INFINITY;
  }
  if (!any) return refuse_all();
  const auto outside = [&](int32_t id) { return id < 0 || static_cast<size_t>(id) >= logits.size(); };
  for (const auto& [id, bias] : row.bias)
    if (outside(id)) return refuse_id("logit bias", id, logits.size());
  for (const auto history : {row.prompt, row.output})
    for (int32_t id : history)
      if (outside(id)) return refuse_id("history", id, logits.size());
  return {};
}

std::vector<float> adjusted(std::span<const float> logits, const SamplingRow& row) {
  std::vector<float> x(logits.begin(), logits.end());
  for (const auto& [id, bias] : row.bias) x[static_cast<size_t>(id)] += bias;
  std::set<int32_t> seen(row.prompt.begin(), row.prompt.end());
  seen.insert(row.output.begin(), row.output.end());
  for (int32_t id : seen) {
    float& v = x[static_cast<size_t>(id)];
    v = v > 0 ? v / row.repetition_penalty : v * row.repetition_penalty;
  }
  std::map<int32_t, int32_t> counts;
  for (int32_t id : row.output) ++counts[id];
  for (const auto& [id, count] : counts)
    x[static_cast<size_t>(id)] -= row.frequency_penalty * static_cast<float>(count) + row.presence_penalty;
  return x;
}

std::vector<Candidate> ordered(std::span<const float> x) {
  std::vector<Candidate> all;
  for (size_t i = 0; i < x.size(); ++i) all.push_back({x[i], static_cast<int32_t>(i)});
  std::sort(all.begin(), all.end());
  return all;
}

void fill_logprobs(std::span<const float> logits, int32_t drawn, int32_t count, SampledLogprobs& out) {
  const std::vector<Candidate> all = ordered(logits);
  uint64_t total = 0;
  for (const Candidate& c : all) total += weight((all[0].logit - c.logit) * halvings_per_logit(1));
  out.drawn = log_probability(all[0].logit - logits[static_cast<size_t>(drawn)], total);
  out.top.clear();
  for (size_t i = 0; i < std::min(static_cast<size_t>(count), all.size()); ++i)
    out.top.push_back({all[i].id, log_probability(all[0].logit - all[i].logit, total)});
}

int32_t draw(std::span<const float> x, const SamplingRow& row) {
  std::vector<Candidate> kept = ordered(x);
  if (row.temperature == 0) return kept[0].id;
  const float largest = kept[0].logit, factor = halvings_per_logit(row.temperature);
  const auto weigh = [&](const Candidate& c) { return weight((largest - c.logit) * factor); };
  const auto sum = [&] {
    uint64_t total = 0;
    for (const Candidate& c : kept) total += weigh(c);
    return total;
  };
  if (row.top_k > 0 && static_cast<size_t>(row.top_k) < kept.size()) kept.resize(static_cast<size_t>(row.top_k));
  if (row.top_p < 1) {
    const uint64_t target = top_p_target(row.top_p, sum());
    size_t n = 0;
    uint64_t reached = 0;
    do reached += weigh(kept[n++]);
    while (n < kept.size() && reached < target);
    kept.resize(n);
  }
  std::erase_if(kept, [&](const Candidate& c) { return weigh(c) < least_weight(row.min_p); });
  std::ranges::sort(kept, {}, &Candidate::id);
  const uint64_t at = point(random_bits(row.seed, row.choice, row.position), sum());
  uint64_t passed = 0;
  for (const Candidate& c : kept) {
    passed += weigh(c);
    if (passed > at) return c.id;
  }
  return kept.back().id;
}

}  // namespace

Result<int32_t> reference(std::span<const float> logits, const SamplingRow& row, SampledLogprobs& logprobs) {
  TARE_RETURN_IF_ERROR(check(logits, row));
  const std::vector<float> x = adjusted(logits, row);
  for (size_t i = 0; i < x.size(); ++i)
    if (std::isnan(x[i]) || x[i] == INFINITY) return refuse_logit(i, x[i]);
  if (std::ranges::all_of(x, [](float v) { return v == -INFINITY; })) return refuse_all();
  const int32_t id = draw(x, row);
  if (row.logprobs >= 0) fill_logprobs(logits, id, row.logprobs, logprobs);
  return id;
}

}  // namespace tare::sampling
