// The fast path: nothing is sorted that need not be. Greedy rows allocate nothing; rows with neither top_k nor top_p
// take two passes; the others look only at as many of the likeliest tokens as they need.
#include <algorithm>
#include <cmath>

#include "plugins/sampling/philox.hpp"
#include "plugins/sampling/sample.hpp"
#include "plugins/sampling/scan.hpp"
#include "plugins/sampling/weight.hpp"

namespace tare::sampling {
namespace {

bool adjusts(const SamplingRow& row) noexcept {
  return !row.bias.empty() || row.repetition_penalty != 1 || row.frequency_penalty != 0 || row.presence_penalty != 0;
}

Status check_ids(std::string_view what, std::span<const int32_t> ids, size_t vocabulary) {
  for (int32_t id : ids)
    if (id < 0 || static_cast<size_t>(id) >= vocabulary) return refuse_id(what, id, vocabulary);
  return {};
}

Status adjust(const SamplingRow& row, std::vector<float>& x) {
  for (const auto& [id, bias] : row.bias) {
    TARE_RETURN_IF_ERROR(check_ids("logit bias", std::span(&id, 1), x.size()));
    x[static_cast<size_t>(id)] += bias;
  }
  TARE_RETURN_IF_ERROR(check_ids("history", row.prompt, x.size()));
  TARE_RETURN_IF_ERROR(check_ids("history", row.output, x.size()));
  std::vector<int32_t> output(row.output.begin(), row.output.end());
  std::sort(output.begin(), output.end());
  if (row.repetition_penalty != 1) {
    std::vector<int32_t> seen(row.prompt.begin(), row.prompt.end());
    seen.insert(seen.end(), output.begin(), output.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (int32_t id : seen) {
      float& v = x[static_cast<size_t>(id)];
      v = v > 0 ? v / row.repetition_penalty : v * row.repetition_penalty;
    }
  }
  for (auto at = output.begin(); at != output.end();) {
    const auto next = std::upper_bound(at, output.end(), *at);
    x[static_cast<size_t>(*at)] -= row.frequency_penalty * static_cast<float>(next - at) + row.presence_penalty;
    at = next;
  }
  return {};
}

// Why a row is refused: the slow look at one that find_largest did not like.
Status refusal(std::span<const float> x) {
  for (size_t i = 0; i < x.size(); ++i)
    if (std::isnan(x[i]) || x[i] == INFINITY) return refuse_logit(i, x[i]);
  return refuse_all();
}

// A drawing among all tokens: block by block to the one that holds the point, then along it.
int32_t draw_among_all(std::span<const float> x, float largest, float factor, const SamplingRow& row) {
  const uint64_t least = least_weight(row.min_p);
  std::vector<uint64_t> sums;
  sums.reserve(x.size() / kBlock + 1);
  uint64_t total = 0;
  for (size_t begin = 0; begin < x.size(); begin += kBlock) {
    sums.push_back(sum_weights(x.subspan(begin, std::min(kBlock, x.size() - begin)), largest, factor, least));
    total += sums.back();
  }
  uint64_t left = point(random_bits(row.seed, row.choice, row.position), total);
  size_t i = 0;
  for (size_t block = 0; left >= sums[block]; ++block) left -= sums[block], i += kBlock;
  for (;; ++i) {
    const uint64_t w = weight((largest - x[i]) * factor);
    if (w < least) continue;
    if (w > left) return static_cast<int32_t>(i);
    left -= w;
  }
}

int32_t draw_among(std::vector<Candidate> kept, float largest, float factor, const SamplingRow& row) {
  std::ranges::sort(kept, {}, &Candidate::id);
  const uint64_t least = least_weight(row.min_p);
  const auto weigh = [&](const Candidate& c) {
    const uint64_t w = weight((largest - c.logit) * factor);
    return w >= least ? w : 0;
  };
  uint64_t total = 0;
  for (const Candidate& c : kept) total += weigh(c);
  uint64_t left = point(random_bits(row.seed, row.choice, row.position), total);
  for (const Candidate& c : kept) {
    const uint64_t w = weigh(c);
    if (w > left) return c.id;
    left -= w;
  }
  return kept.back().id;
}

// The set that top_k and top_p leave, most likely first.
std::vector<Candidate> keep_likely(std::span<const float> x, float largest, float factor, const SamplingRow& row) {
  const bool cut_k = row.top_k > 0 && static_cast<size_t>(row.top_k) < x.size();
  const auto weigh = [&](const Candidate& c) { return weight((largest - c.logit) * factor); };
  std::vector<Candidate> best;
  if (cut_k) best = most_likely(x, static_cast<size_t>(row.top_k));
  if (row.top_p >= 1) return best;
  uint64_t total = 0;
  if (cut_k) {
    for (const Candidate& c : best) total += weigh(c);
  } else {
    total = sum_weights(x, largest, factor, 0);
  }
  const uint64_t target = top_p_target(row.top_p, total);
  for (size_t count = 64;; count *= 8) {  // most rows are done with the first 64
    if (!cut_k) best = most_likely(x, count);
    uint64_t reached = 0;
    for (size_t n = 0; n < best.size(); ++n) {
      reached += weigh(best[n]);
      if (reached < target) continue;
      best.resize(n + 1);
      return best;
    }
    if (cut_k || best.size() == x.size()) return best;
  }
}

void fill_logprobs(std::span<const float> logits, int32_t drawn, int32_t count, SampledLogprobs& out) {
  const Largest largest = find_largest(logits);
  const uint64_t total = sum_weights(logits, largest.logit, halvings_per_logit(1), 0);
  out.drawn = log_probability(largest.logit - logits[static_cast<size_t>(drawn)], total);
  out.top.clear();
  for (const Candidate& c : most_likely(logits, static_cast<size_t>(count)))
    out.top.push_back({c.id, log_probability(largest.logit - c.logit, total)});
}

}  // namespace

Result<int32_t> fast(std::span<const float> logits, const SamplingRow& row, SampledLogprobs& logprobs) {
  std::span<const float> x = logits;
  std::vector<float> changed;
  Largest largest = find_largest(logits);
  if (!largest.good) return refusal(logits);
  if (adjusts(row)) {
    changed.assign(logits.begin(), logits.end());
    TARE_RETURN_IF_ERROR(adjust(row, changed));
    x = changed;
    largest = find_largest(x);
    if (!largest.good) return refusal(x);
  }
  int32_t id = largest.id;
  if (row.temperature != 0) {
    const float factor = halvings_per_logit(row.temperature);
    const bool cuts = (row.top_k > 0 && static_cast<size_t>(row.top_k) < x.size()) || row.top_p < 1;
    id = cuts ? draw_among(keep_likely(x, largest.logit, factor, row), largest.logit, factor, row)
              : draw_among_all(x, largest.logit, factor, row);
  }
  if (row.logprobs >= 0) fill_logprobs(logits, id, row.logprobs, logprobs);
  return id;
}

}  // namespace tare::sampling
