#include "core/bundle/codec_split.hpp"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tare {
namespace {

// Loops that the compiler turns into vectors, once for each kind of processor.
#define TARE_INLINE __attribute__((always_inline)) inline

TARE_INLINE void split(int width, const uint8_t* __restrict in, size_t count, uint8_t* const* planes) {
  if (width == 1) {
    std::memcpy(planes[0], in, count);
  } else if (width == 2) {
    uint8_t* __restrict low = planes[0], * __restrict high = planes[1];
    for (size_t i = 0; i < count; ++i) {
      uint16_t v;
      std::memcpy(&v, in + 2 * i, 2);
      low[i] = static_cast<uint8_t>((v & 0x7f) | (v >> 8 & 0x80));
      high[i] = static_cast<uint8_t>(v >> 7);
    }
  } else {
    uint8_t* __restrict a = planes[0], * __restrict b = planes[1], * __restrict c = planes[2], * __restrict d = planes[3];
    for (size_t i = 0; i < count; ++i) {
      uint32_t v;
      std::memcpy(&v, in + 4 * i, 4);
      a[i] = static_cast<uint8_t>(v), b[i] = static_cast<uint8_t>(v >> 8);
      c[i] = static_cast<uint8_t>((v >> 16 & 0x7f) | (v >> 24 & 0x80));
      d[i] = static_cast<uint8_t>(v >> 23);
    }
  }
}
TARE_INLINE void join(int width, const uint8_t* const* planes, size_t count, uint8_t* __restrict out) {
  if (width == 1) {
    std::memcpy(out, planes[0], count);
  } else if (width == 2) {
    const uint8_t* __restrict low = planes[0], * __restrict high = planes[1];
    for (size_t i = 0; i < count; ++i) {
      const auto v = static_cast<uint16_t>((low[i] & 0x7f) | (low[i] & 0x80) << 8 | high[i] << 7);
      std::memcpy(out + 2 * i, &v, 2);
    }
  } else {
    const uint8_t* __restrict a = planes[0], * __restrict b = planes[1], * __restrict c = planes[2], * __restrict d = planes[3];
    for (size_t i = 0; i < count; ++i) {
      const uint32_t v = a[i] | uint32_t{b[i]} << 8 | (uint32_t{c[i]} & 0x7f) << 16 | uint32_t{d[i]} << 23 |
                         (uint32_t{c[i]} & 0x80) << 24;
      std::memcpy(out + 4 * i, &v, 4);
    }
  }
}

#if defined(__x86_64__)
#define TARE_AVX2 __attribute__((target("avx2")))
// Row h of a table of 16 x 16 bits has the bytes with the upper half h; two shuffles find the row's halves by the
// byte's lower half, a third one the bit.
TARE_AVX2 bool all_occur_avx2(const uint8_t* bytes, size_t count, const rans::Histogram& counts) {
  alignas(16) uint8_t rows[2][16] = {};
  for (size_t b = 0; b < 256; ++b)
    if (counts[b] > 0) rows[b >> 7][b & 15] = static_cast<uint8_t>(rows[b >> 7][b & 15] | 1 << (b >> 4 & 7));
  const __m256i below = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(rows[0])));
  const __m256i above = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(rows[1])));
  const __m256i bits = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  const __m256i low4 = _mm256_set1_epi8(15);
  __m256i missing = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + i));
    const __m256i low = _mm256_and_si256(v, low4), high = _mm256_and_si256(_mm256_srli_epi16(v, 4), low4);
    const __m256i row = _mm256_blendv_epi8(_mm256_shuffle_epi8(below, low), _mm256_shuffle_epi8(above, low), v);
    const __m256i bit = _mm256_shuffle_epi8(bits, high);
    missing = _mm256_or_si256(missing, _mm256_andnot_si256(row, bit));
  }
  bool all = _mm256_testz_si256(missing, missing) != 0;
  for (; i < count; ++i) all = all && counts[bytes[i]] > 0;
  return all;
}
#define TARE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
TARE_AVX2 void split_avx2(int width, const uint8_t* in, size_t count, uint8_t* const* planes) {
  split(width, in, count, planes);
}
TARE_AVX512 void split_avx512(int width, const uint8_t* in, size_t count, uint8_t* const* planes) {
  split(width, in, count, planes);
}
TARE_AVX2 void join_avx2(int width, const uint8_t* const* planes, size_t count, uint8_t* out) {
  join(width, planes, count, out);
}
TARE_AVX512 void join_avx512(int width, const uint8_t* const* planes, size_t count, uint8_t* out) {
  join(width, planes, count, out);
}
#endif

}  // namespace

void split_planes(int width, const uint8_t* elements, size_t count, uint8_t* const* planes, rans::Loops loops) {
#if defined(__x86_64__)
  if (loops == rans::Loops::avx512) return split_avx512(width, elements, count, planes);
  if (loops == rans::Loops::avx2) return split_avx2(width, elements, count, planes);
#endif
  static_cast<void>(loops);
  split(width, elements, count, planes);
}
void join_planes(int width, const uint8_t* const* planes, size_t count, uint8_t* elements, rans::Loops loops) {
#if defined(__x86_64__)
  if (loops == rans::Loops::avx512) return join_avx512(width, planes, count, elements);
  if (loops == rans::Loops::avx2) return join_avx2(width, planes, count, elements);
#endif
  static_cast<void>(loops);
  join(width, planes, count, elements);
}

bool all_occur(const uint8_t* bytes, size_t count, const rans::Histogram& counts, rans::Loops loops) {
#if defined(__x86_64__)
  if (loops != rans::Loops::plain) return all_occur_avx2(bytes, count, counts);
#endif
  static_cast<void>(bytes), static_cast<void>(count), static_cast<void>(counts), static_cast<void>(loops);
  return false;
}

void count_bytes(const uint8_t* bytes, size_t count, rans::Histogram* counts) {
  // Eight tables: neighbours are often equal, and one counter would wait for itself.
  constexpr size_t kTables = 8, kMost = size_t{1} << 31;
  uint32_t tables[kTables][256];
  for (size_t begin = 0; begin < count; begin += kMost) {
    std::memset(tables, 0, sizeof tables);
    const uint8_t* const in = bytes + begin;
    const size_t n = std::min(kMost, count - begin);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      uint64_t eight;
      std::memcpy(&eight, in + i, 8);
      ++tables[0][eight & 255], ++tables[1][eight >> 8 & 255], ++tables[2][eight >> 16 & 255];
      ++tables[3][eight >> 24 & 255], ++tables[4][eight >> 32 & 255], ++tables[5][eight >> 40 & 255];
      ++tables[6][eight >> 48 & 255], ++tables[7][eight >> 56];
    }
    for (; i < n; ++i) ++tables[0][in[i]];
    for (size_t b = 0; b < 256; ++b)
      for (const auto& table : tables) (*counts)[b] += table[b];
  }
}

}  // namespace tare
