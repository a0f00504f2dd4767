// The fast path: nothing is sorted that need not be. Greedy rows allocate nothing; a small top_k looks at its tokens
// only; other rows find the last token that is left and draw in two passes over the row.
#include <algorithm>
#include <cmath>

#include "plugins/sampling/philox.hpp"
#include "plugins/sampling/sample.hpp"
#include "plugins/sampling/scan.hpp"
#include "plugins/sampling/spread.hpp"
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

uint64_t row_bits(const SamplingRow& row) noexcept { return random_bits(row.seed, row.choice, row.position); }

// Draws from what `cut` leaves of the row: block by block to the one that holds the point, then along it.
int32_t draw_in_row(std::span<const float> x, Scale scale, const Cut& cut, uint64_t bits) {
  std::vector<uint64_t> sums;
  sums.reserve(x.size() / kBlock + 1);
  uint64_t total = 0;
  for (size_t begin = 0; begin < x.size(); begin += kBlock) {
    const std::span<const float> block = x.subspan(begin, std::min(kBlock, x.size() - begin));
    sums.push_back(sum_weights(block, static_cast<int32_t>(begin), scale, cut));
    total += sums.back();
  }
  uint64_t left = point(bits, total);
  size_t i = 0;
  for (size_t block = 0; left >= sums[block]; ++block) left -= sums[block], i += kBlock;
  for (;; ++i) {
    const uint64_t w = sum_weights(x.subspan(i, 1), static_cast<int32_t>(i), scale, cut);
    if (w > left) return static_cast<int32_t>(i);
    left -= w;
  }
}

// The fewest of `best`, which is in order of likelihood, whose weights reach top_p of their sum.
void keep_top_p(std::vector<Candidate>& best, Scale scale, float top_p) {
  const auto weigh = [&](const Candidate& c) { return weight((scale.largest - c.logit) * scale.factor); };
  uint64_t total = 0, reached = 0;
  for (const Candidate& c : best) total += weigh(c);
  const uint64_t target = top_p_target(top_p, total);
  size_t n = 0;
  do reached += weigh(best[n++]);
  while (n < best.size() && reached < target);
  best.resize(n);
}

// A small top_k: its tokens alone are looked at.
int32_t draw_among_few(std::span<const float> x, Scale scale, const SamplingRow& row) {
  std::vector<Candidate> kept = most_likely(x, static_cast<size_t>(row.top_k));
  if (row.top_p < 1) keep_top_p(kept, scale, row.top_p);
  std::ranges::sort(kept, {}, &Candidate::id);
  const uint64_t least = least_weight(row.min_p);
  const auto weigh = [&](const Candidate& c) {
    const uint64_t w = weight((scale.largest - c.logit) * scale.factor);
    return w >= least ? w : 0;
  };
  uint64_t total = 0;
  for (const Candidate& c : kept) total += weigh(c);
  uint64_t left = point(row_bits(row), total);
  for (const Candidate& c : kept) {
    const uint64_t w = weigh(c);
    if (w > left) return c.id;
    left -= w;
  }
  return kept.back().id;
}

int32_t draw(std::span<const float> x, float largest, const SamplingRow& row) {
  const Scale scale{.largest = largest, .factor = halvings_per_logit(row.temperature)};
  constexpr size_t kFew = 512;
  const bool cuts_k = row.top_k > 0 && static_cast<size_t>(row.top_k) < x.size();
  if (cuts_k && static_cast<size_t>(row.top_k) <= kFew) return draw_among_few(x, scale, row);
  Cut cut;
  if (cuts_k || row.top_p < 1) {
    const Spread spread(x, scale);
    if (cuts_k) cut.last = spread.last_of(static_cast<uint64_t>(row.top_k));
    if (row.top_p < 1) cut.last = spread.reaching(top_p_target(row.top_p, sum_weights(x, 0, scale, cut)));
  }
  cut.least = least_weight(row.min_p);
  return draw_in_row(x, scale, cut, row_bits(row));
}

void fill_logprobs(std::span<const float> logits, int32_t drawn, int32_t count, SampledLogprobs& out) {
  const Largest largest = find_largest(logits);
  const uint64_t total = sum_weights(logits, 0, {largest.logit, halvings_per_logit(1)}, {});
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
  const int32_t id = row.temperature == 0 ? largest.id : draw(x, largest.logit, row);
  if (row.logprobs >= 0) fill_logprobs(logits, id, row.logprobs, logprobs);
  return id;
}

}  // namespace tare::sampling
