#include "plugins/sampling/scan.hpp"

#include <algorithm>
#include <cmath>

#include "plugins/sampling/scan_avx2.hpp"
#include "plugins/sampling/weight.hpp"

namespace tare::sampling {
namespace {

constexpr size_t kLanes = 16;

// Largest of x[0..n), and whether there is a nan. Lanes of their own, so that the compiler keeps them in registers.
struct BlockLargest {
  float logit;
  bool nan;
};
BlockLargest block_largest(const float* x, size_t n) noexcept {
  float most[kLanes];
  int32_t nan[kLanes] = {};
  for (size_t l = 0; l < kLanes; ++l) most[l] = -INFINITY;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) {
      most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
      nan[l] |= x[i + l] != x[i + l];
    }
  for (; i < n; ++i) {
    most[0] = x[i] > most[0] ? x[i] : most[0];
    nan[0] |= x[i] != x[i];
  }
  BlockLargest out{-INFINITY, false};
  for (size_t l = 0; l < kLanes; ++l) {
    out.logit = most[l] > out.logit ? most[l] : out.logit;
    out.nan |= nan[l] != 0;
  }
  return out;
}

}  // namespace

Largest find_largest(std::span<const float> x) noexcept {
  Largest out{-INFINITY, 0, true};
  size_t best = 0;
  for (size_t begin = 0; begin < x.size(); begin += kBlock) {
    const BlockLargest block = block_largest(x.data() + begin, std::min(kBlock, x.size() - begin));
    out.good &= !block.nan;
    if (block.logit > out.logit) out.logit = block.logit, best = begin;
  }
  out.good &= std::isfinite(out.logit);
  while (out.good && x[best] != out.logit) ++best;
  out.id = static_cast<int32_t>(best);
  return out;
}

uint64_t sum_weights(std::span<const float> x, int32_t first_id, Scale scale, const Cut& cut) noexcept {
  uint64_t total = 0;
  size_t i = has_avx2() ? sum_weights_avx2(x, first_id, scale, cut, total) : 0;
  for (; i < x.size(); ++i) {
    if (cut.last < Candidate{x[i], first_id + static_cast<int32_t>(i)}) continue;
    const uint64_t w = weight((scale.largest - x[i]) * scale.factor);
    total += w >= cut.least ? w : 0;
  }
  return total;
}

std::vector<Candidate> most_likely(std::span<const float> x, size_t count) {
  std::vector<Candidate> best;
  count = std::min(count, x.size());
  if (count == 0) return best;
  constexpr size_t kHeapMost = 512;  // beyond it, picking among all is faster than a heap
  if (count > kHeapMost) {
    best.reserve(x.size());
    for (size_t i = 0; i < x.size(); ++i) best.push_back({x[i], static_cast<int32_t>(i)});
    std::nth_element(best.begin(), best.begin() + static_cast<ptrdiff_t>(count) - 1, best.end());
    best.resize(count);
    std::sort(best.begin(), best.end());
    return best;
  }
  // A heap with the least likely of the best on top. Ids come in order, so an equal logit never displaces one; a
  // stretch with nothing larger than the top is passed over whole.
  constexpr size_t kStretch = 64;
  best.reserve(count);
  for (size_t begin = 0; begin < x.size(); begin += kStretch) {
    const size_t end = std::min(begin + kStretch, x.size());
    if (best.size() == count && !(block_largest(x.data() + begin, end - begin).logit > best.front().logit)) continue;
    for (size_t i = begin; i < end; ++i) {
      if (best.size() == count) {
        if (!(x[i] > best.front().logit)) continue;
        std::pop_heap(best.begin(), best.end());
        best.pop_back();
      }
      best.push_back({x[i], static_cast<int32_t>(i)});
      std::push_heap(best.begin(), best.end());
    }
  }
  std::sort_heap(best.begin(), best.end());
  return best;
}

}  // namespace tare::sampling
