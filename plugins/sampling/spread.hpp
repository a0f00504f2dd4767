// Spread: a row's tokens counted and weighed by how likely they are, in buckets. Finds where top_k or top_p ends in a
// row without sorting it: only the bucket in which the end lies is sorted. [any thread]
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "plugins/sampling/scan.hpp"

namespace tare::sampling {

class Spread {
 public:
  Spread(std::span<const float> x, Scale scale);

  // The last of the `count` first tokens in order of likelihood.
  Candidate last_of(uint64_t count) const;
  // The token at which the running sum of weights, in order of likelihood, reaches `target`; the first token when
  // `target` is 0. `target` is at most the sum of all weights.
  Candidate reaching(uint64_t target) const;

 private:
  static constexpr size_t kBuckets = 2048;
  size_t bucket_of(float halvings) const noexcept;
  Candidate find(std::span<const uint64_t> measure, uint64_t target, bool weights) const;

  std::span<const float> x_;
  Scale scale_;
  float buckets_per_halving_ = 1;
  std::array<uint64_t, kBuckets> count_{}, weight_{};  // likeliest bucket first
};

}  // namespace tare::sampling
