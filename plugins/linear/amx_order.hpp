// One row or two under the numerics id of AMX without AMX: TDPBF16PS adds the products of 16 pairs of K in two chains
// from zero, even K and odd K, then adds the chains to each other and that to the sum, all rounded to nearest with
// subnormals flushed (Intel 64 SDM, TDPBF16PS). Multiply-adds of AVX-512 under the same rules give the same bits (NaN
// payloads aside; a test compares them), and a stream of weights runs faster through them than through tiles, which
// wait for whole chunks. Included only by files that are for x86-64. Each call is on a [thread of its own].
#pragma once
#include "plugins/linear/coded_avx512.hpp"

namespace tare::linear {

// Rounds to nearest, flushes subnormals on both sides and raises nothing while it lives.
class FlushSubnormals {
 public:
  FlushSubnormals() noexcept : before_(_mm_getcsr()) { _mm_setcsr(0x9fc0); }
  ~FlushSubnormals() { _mm_setcsr(before_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  const unsigned before_;
};

// Adds the four numbers of K that `record` holds to the chains of its tiles.
template <int kRows, bool kPatch, class Source>
TARE_CODED_INLINE void add_record(Source& source, int record, const float (&x)[2][kRows][16], const char* ahead,
                                  __m512 (&even)[kRows][kTiles], __m512 (&odd)[kRows][kTiles]) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000));
#pragma GCC unroll 4
  for (int t = 0; t < static_cast<int>(kTiles); ++t) {
    fetch_quarter<Source>(ahead, t);
    const Lines lines = source.template lines<kPatch>(record, t);
    const __m512 even0 = _mm512_castsi512_ps(_mm512_slli_epi32(lines.first, 16));
    const __m512 odd0 = _mm512_castsi512_ps(_mm512_and_si512(lines.first, upper));
    const __m512 even1 = _mm512_castsi512_ps(_mm512_slli_epi32(lines.second, 16));
    const __m512 odd1 = _mm512_castsi512_ps(_mm512_and_si512(lines.second, upper));
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
      even[r][t] = _mm512_fmadd_ps(even0, _mm512_set1_ps(x[0][r][2 * record]), even[r][t]);
      odd[r][t] = _mm512_fmadd_ps(odd0, _mm512_set1_ps(x[1][r][2 * record]), odd[r][t]);
      even[r][t] = _mm512_fmadd_ps(even1, _mm512_set1_ps(x[0][r][2 * record + 1]), even[r][t]);
      odd[r][t] = _mm512_fmadd_ps(odd1, _mm512_set1_ps(x[1][r][2 * record + 1]), odd[r][t]);
    }
  }
}

// kRows rows of x (BF16, x_stride bytes apart, whole chunks) by one strip, or by neighbours in turn: two streams of
// memory keep more of it under way, and coded weights are so few bytes that one stream does not fill a core's share.
// Sums of a strip lie 64 apart, those of the next strip `next_sums` further.
template <int kRows, int kStrips, class Source>
TARE_CODED __attribute__((noinline)) void multiply_in_amx_order(Source (&sources)[kStrips], int64_t chunks,
                                                                const std::byte* x, int64_t x_stride, int64_t prefetch,
                                                                float* sums, int64_t next_sums) {
  const auto at = [&](int s, int r, int t) { return sums + s * next_sums + r * kStripOutputs + t * kTileOutputs; };
  for (int s = 0; s < kStrips; ++s)
    for (int r = 0; r < kRows; ++r)
      for (int t = 0; t < static_cast<int>(kTiles); ++t) _mm512_storeu_ps(at(s, r, t), _mm512_setzero_ps());
  for (int64_t c = 0; c < chunks; ++c, x += 64) {
    alignas(64) float widened[2][kRows][16];  // even K, odd K
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
      const __m512i pairs = _mm512_loadu_si512(x + r * x_stride);
      _mm512_store_si512(widened[0][r], _mm512_slli_epi32(pairs, 16));
      _mm512_store_si512(widened[1][r], _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
    }
    __m512 even[kStrips][kRows][kTiles], odd[kStrips][kRows][kTiles];
#pragma GCC unroll 2
    for (int s = 0; s < kStrips; ++s)
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int t = 0; t < static_cast<int>(kTiles); ++t) even[s][r][t] = odd[s][r][t] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (int record = 0; record < static_cast<int>(kRecordsPerTile); ++record) {
#pragma GCC unroll 2
      for (int s = 0; s < kStrips; ++s) {
        const char* const ahead = part_ahead(sources[s], record, prefetch);
        if (sources[s].has_escape(record)) [[unlikely]]
          add_record<kRows, true>(sources[s], record, widened, ahead, even[s], odd[s]);
        else
          add_record<kRows, false>(sources[s], record, widened, ahead, even[s], odd[s]);
      }
    }
#pragma GCC unroll 2
    for (int s = 0; s < kStrips; ++s) {
      sources[s].next_chunk();
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int t = 0; t < static_cast<int>(kTiles); ++t)
          _mm512_storeu_ps(at(s, r, t),
                           _mm512_add_ps(_mm512_loadu_ps(at(s, r, t)), _mm512_add_ps(even[s][r][t], odd[s][r][t])));
    }
  }
}

}  // namespace tare::linear
