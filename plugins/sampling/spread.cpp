#include "plugins/sampling/spread.hpp"

#include <algorithm>

#include "plugins/sampling/scan_avx2.hpp"
#include "plugins/sampling/weight.hpp"

namespace tare::sampling {
namespace {

// Halvings from which on a weight is 0: the order of those tokens makes no difference to any draw.
constexpr float kMostHalvings = 41;

void weigh(std::span<const float> x, Scale scale, float* halvings, uint64_t* weights) noexcept {
  size_t i = has_avx2() ? weigh_avx2(x, scale, halvings, weights) : 0;
  for (; i < x.size(); ++i) {
    halvings[i] = (scale.largest - x[i]) * scale.factor;
    weights[i] = weight(halvings[i]);
  }
}

}  // namespace

// A larger logit never has more halvings, rounding included, and so never a later bucket.
size_t Spread::bucket_of(float halvings) const noexcept {
  const float bucket = halvings * buckets_per_halving_;
  return bucket < static_cast<float>(kBuckets - 1) ? static_cast<size_t>(bucket) : kBuckets - 1;
}

Spread::Spread(std::span<const float> x, Scale scale) : x_(x), scale_(scale) {
  float least = scale.largest;
  for (float v : x) least = v < least ? v : least;
  const float range = std::min((scale.largest - least) * scale.factor, kMostHalvings);
  buckets_per_halving_ = static_cast<float>(kBuckets) / std::max(range, 1e-20f);
  float halvings[kBlock];
  uint64_t weights[kBlock];
  for (size_t begin = 0; begin < x.size(); begin += kBlock) {
    const std::span<const float> block = x.subspan(begin, std::min(kBlock, x.size() - begin));
    weigh(block, scale, halvings, weights);
    for (size_t i = 0; i < block.size(); ++i) {
      const size_t bucket = bucket_of(halvings[i]);
      ++count_[bucket];
      weight_[bucket] += weights[i];
    }
  }
}

Candidate Spread::find(std::span<const uint64_t> measure, uint64_t target, bool weights) const {
  size_t bucket = 0;
  uint64_t reached = 0;
  while (bucket + 1 < kBuckets && reached + measure[bucket] < target) reached += measure[bucket++];
  // A weight of 0 is never drawn: no need to find the end among such tokens.
  if (weight_[bucket] == 0 && bucket > 0) return Cut{}.last;
  std::vector<Candidate> inside;
  inside.reserve(count_[bucket]);
  for (size_t i = 0; i < x_.size(); ++i)
    if (bucket_of((scale_.largest - x_[i]) * scale_.factor) == bucket)
      inside.push_back({x_[i], static_cast<int32_t>(i)});
  std::sort(inside.begin(), inside.end());
  for (const Candidate& c : inside) {
    reached += weights ? weight((scale_.largest - c.logit) * scale_.factor) : 1;
    if (reached >= target) return c;
  }
  return Cut{}.last;
}

Candidate Spread::last_of(uint64_t count) const { return find(count_, count, false); }
Candidate Spread::reaching(uint64_t target) const { return find(weight_, target, true); }

}  // namespace tare::sampling
