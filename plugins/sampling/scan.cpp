#include "plugins/sampling/scan.hpp"

#include <algorithm>
#include <cmath>

#include "plugins/sampling/weight.hpp"

#if defined(__x86_64__) && !defined(__AVX2__)
// No "fma": a fused multiply-add would round otherwise than the plain version.
#define TARE_FOR_AVX2 __attribute__((target("avx2")))
#define TARE_HAS_AVX2 __builtin_cpu_supports("avx2")
#else
#define TARE_FOR_AVX2
#define TARE_HAS_AVX2 false
#endif

namespace tare::sampling {
namespace {

#define TARE_INLINE __attribute__((always_inline)) inline

constexpr size_t kLanes = 16;

struct BlockLargest {
  float logit;
  bool nan;
};
TARE_INLINE BlockLargest block_largest(const float* x, size_t n) noexcept {
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

TARE_INLINE Largest largest_of(std::span<const float> x) noexcept {
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

TARE_INLINE uint64_t sum_of(std::span<const float> x, float largest, float factor, uint64_t least) noexcept {
  uint64_t total = 0;
  for (const float v : x) {
    const uint64_t w = weight((largest - v) * factor);
    total += w >= least ? w : 0;
  }
  return total;
}

TARE_FOR_AVX2 Largest largest_avx2(std::span<const float> x) noexcept { return largest_of(x); }
TARE_FOR_AVX2 uint64_t sum_avx2(std::span<const float> x, float largest, float factor, uint64_t least) noexcept {
  return sum_of(x, largest, factor, least);
}
Largest largest_plain(std::span<const float> x) noexcept { return largest_of(x); }
uint64_t sum_plain(std::span<const float> x, float largest, float factor, uint64_t least) noexcept {
  return sum_of(x, largest, factor, least);
}

}  // namespace

Largest find_largest(std::span<const float> x) noexcept { return TARE_HAS_AVX2 ? largest_avx2(x) : largest_plain(x); }
uint64_t sum_weights(std::span<const float> x, float largest, float factor, uint64_t least) noexcept {
  return TARE_HAS_AVX2 ? sum_avx2(x, largest, factor, least) : sum_plain(x, largest, factor, least);
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
