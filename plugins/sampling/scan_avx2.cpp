#include "plugins/sampling/scan_avx2.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
// By function, not by file: nothing of the standard library must be compiled for a CPU that may not be there. No "fma":
// weight() rounds after each multiplication.
#define TARE_AVX2 __attribute__((target("avx2")))

namespace tare::sampling {
namespace {

struct Weights8 {
  __m256i low, high;  // of elements 0-3 and 4-7
};
TARE_AVX2 inline __m256i shifted(__m128i mantissa, __m128i whole) noexcept {
  return _mm256_srlv_epi64(_mm256_slli_epi64(_mm256_cvtepi32_epi64(mantissa), 16), _mm256_cvtepi32_epi64(whole));
}
// weight() of eight numbers of halvings.
TARE_AVX2 inline Weights8 weights(__m256 halvings) noexcept {
  const __m256 t = _mm256_min_ps(halvings, _mm256_set1_ps(63.0f));
  const __m256i whole = _mm256_cvttps_epi32(t);
  const __m256 f = _mm256_sub_ps(t, _mm256_cvtepi32_ps(whole));
  __m256 p = _mm256_set1_ps(1.09023007e-4f);
  for (const float c : {-1.27474766e-3f, 9.57917888e-3f, -5.54907583e-2f, 2.40224361e-1f, -6.93147063e-1f, 1.0f})
    p = _mm256_add_ps(_mm256_mul_ps(p, f), _mm256_set1_ps(c));
  const __m256i m = _mm256_cvttps_epi32(_mm256_mul_ps(p, _mm256_set1_ps(16777216.0f)));
  return {shifted(_mm256_castsi256_si128(m), _mm256_castsi256_si128(whole)),
          shifted(_mm256_extracti128_si256(m, 1), _mm256_extracti128_si256(whole, 1))};
}
// The weights that are at least `least`, where `mask` (one lane of 32 bits an element) is set.
TARE_AVX2 inline __m256i kept(__m256i weights, __m256i least, __m128i mask) noexcept {
  return _mm256_andnot_si256(_mm256_cmpgt_epi64(least, weights),
                             _mm256_and_si256(weights, _mm256_cvtepi32_epi64(mask)));
}
TARE_AVX2 inline __m256 halvings_of(const float* x, Scale scale) noexcept {
  return _mm256_mul_ps(_mm256_sub_ps(_mm256_set1_ps(scale.largest), _mm256_loadu_ps(x)), _mm256_set1_ps(scale.factor));
}

}  // namespace

bool has_avx2() noexcept { return __builtin_cpu_supports("avx2"); }

TARE_AVX2 size_t sum_weights_avx2(std::span<const float> x, int32_t first_id, Scale scale, const Cut& cut,
                                  uint64_t& total) noexcept {
  // Weights are below 2^63, so the signed comparison is the right one.
  const __m256i least = _mm256_set1_epi64x(static_cast<int64_t>(cut.least));
  const __m256 last = _mm256_set1_ps(cut.last.logit);
  const __m256i last_id = _mm256_set1_epi32(cut.last.id), eight = _mm256_set1_epi32(8);
  __m256i id = _mm256_add_epi32(_mm256_set1_epi32(first_id), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  __m256i sum = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 8 <= x.size(); i += 8) {
    const __m256 v = _mm256_loadu_ps(x.data() + i);
    const __m256 in_time =
        _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(id, last_id)), _mm256_cmp_ps(v, last, _CMP_EQ_OQ));
    const __m256i left = _mm256_castps_si256(_mm256_or_ps(_mm256_cmp_ps(v, last, _CMP_GT_OQ), in_time));
    const Weights8 w = weights(halvings_of(x.data() + i, scale));
    sum = _mm256_add_epi64(sum, kept(w.low, least, _mm256_castsi256_si128(left)));
    sum = _mm256_add_epi64(sum, kept(w.high, least, _mm256_extracti128_si256(left, 1)));
    id = _mm256_add_epi32(id, eight);
  }
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum);
  total += lanes[0] + lanes[1] + lanes[2] + lanes[3];
  return i;
}

TARE_AVX2 size_t weigh_avx2(std::span<const float> x, Scale scale, float* halvings, uint64_t* out) noexcept {
  size_t i = 0;
  for (; i + 8 <= x.size(); i += 8) {
    const __m256 h = halvings_of(x.data() + i, scale);
    const Weights8 w = weights(h);
    _mm256_storeu_ps(halvings + i, h);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), w.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i + 4), w.high);
  }
  return i;
}

}  // namespace tare::sampling

#else
namespace tare::sampling {
bool has_avx2() noexcept { return false; }
size_t sum_weights_avx2(std::span<const float>, int32_t, Scale, const Cut&, uint64_t&) noexcept { return 0; }
size_t weigh_avx2(std::span<const float>, Scale, float*, uint64_t*) noexcept { return 0; }
}  // namespace tare::sampling
#endif
