// The rANS loops for processors with AVX2: 32 lanes are four registers.
#include "core/bundle/codec_rans.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

namespace tare::rans::detail {

#define TARE_AVX2 __attribute__((target("avx2,popcnt")))

namespace {

// By mask of 8 lanes. expand: which of the next words a lane takes. compress: the bytes of the masked lanes' words, in
// order, at the end of the register.
struct Shuffles {
  alignas(64) uint8_t expand[256][8];
  alignas(64) uint8_t compress[256][16];
};
constexpr Shuffles make_shuffles() {
  Shuffles s{};
  for (unsigned mask = 0; mask < 256; ++mask) {
    uint8_t taken = 0;
    for (unsigned lane = 0; lane < 8; ++lane) {
      s.expand[mask][lane] = taken;
      taken = static_cast<uint8_t>(taken + (mask >> lane & 1));
    }
    unsigned byte = 16u - 2u * taken;
    for (unsigned b = 0; b < byte; ++b) s.compress[mask][b] = 0x80;
    for (unsigned lane = 0; lane < 8; ++lane)
      if (mask >> lane & 1) {
        s.compress[mask][byte++] = static_cast<uint8_t>(2 * lane);
        s.compress[mask][byte++] = static_cast<uint8_t>(2 * lane + 1);
      }
  }
  return s;
}
constexpr Shuffles kShuffles = make_shuffles();

TARE_AVX2 inline __m256i load8(const uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
TARE_AVX2 inline void store8(uint32_t* p, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
TARE_AVX2 inline unsigned mask_of(__m256i v) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(v)));
}
// The low 16 bits of each lane.
TARE_AVX2 inline __m128i words_of(__m256i v) {
  const __m256i low = _mm256_blend_epi16(v, _mm256_setzero_si256(), 0xaa);
  return _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
}

TARE_AVX2 inline __m256i take(const uint32_t* slots, __m256i x, const uint16_t*& at, __m256i* slot) {
  const __m256i low12 = _mm256_set1_epi32(4095);
  *slot = _mm256_i32gather_epi32(reinterpret_cast<const int*>(slots), _mm256_and_si256(x, low12), 4);
  const __m256i frequency =
      _mm256_add_epi32(_mm256_and_si256(_mm256_srli_epi32(*slot, 8), low12), _mm256_set1_epi32(1));
  x = _mm256_add_epi32(_mm256_mullo_epi32(frequency, _mm256_srli_epi32(x, 12)), _mm256_srli_epi32(*slot, 20));
  const __m256i small = _mm256_cmpeq_epi32(_mm256_srli_epi32(x, 16), _mm256_setzero_si256());
  const unsigned mask = mask_of(small);
  const __m256i words =
      _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));  // 32 words are there
  at += _mm_popcnt_u32(mask);
  const __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kShuffles.expand[mask])));
  const __m256i filled = _mm256_or_si256(_mm256_slli_epi32(x, 16), _mm256_permutevar8x32_epi32(words, order));
  return _mm256_blendv_epi8(x, filled, small);
}

// x as floats, rounded once: the upper half is exact, and so is its multiple of 65536.
TARE_AVX2 inline __m256 floats_of(__m256i x) {
  const __m256 high = _mm256_cvtepi32_ps(_mm256_srli_epi32(x, 16));
  const __m256 low = _mm256_cvtepi32_ps(_mm256_and_si256(x, _mm256_set1_epi32(0xffff)));
  return _mm256_add_ps(_mm256_mul_ps(high, _mm256_set1_ps(65536.0f)), low);
}

TARE_AVX2 inline __m256i put8(const Encoder& encoder, __m256i x, uint16_t*& at, const uint8_t* in) {
  const __m256i index = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in)));
  const __m256i range = _mm256_i32gather_epi32(reinterpret_cast<const int*>(encoder.ranges.data()), index, 4);
  const __m256 inverse = _mm256_i32gather_ps(encoder.inverses.data(), index, 4);
  const __m256i frequency = _mm256_and_si256(range, _mm256_set1_epi32(0xffff));
  const __m256i start = _mm256_srli_epi32(range, 16);
  const __m256i fits = _mm256_cmpgt_epi32(frequency, _mm256_srli_epi32(x, 20));
  const unsigned full = ~mask_of(fits) & 0xff;
  // Eight words are written, those in front of the ones that are meant are written again by what follows.
  const __m128i words =
      _mm_shuffle_epi8(words_of(x), _mm_load_si128(reinterpret_cast<const __m128i*>(kShuffles.compress[full])));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at - 8), words);
  at -= _mm_popcnt_u32(full);
  x = _mm256_blendv_epi8(_mm256_srli_epi32(x, 16), x, fits);
  // codec_rans.cpp, `put`, says why the quotient is right or one too small.
  const __m256i quotient = _mm256_cvttps_epi32(_mm256_mul_ps(floats_of(x), inverse));
  const __m256i rest = _mm256_sub_epi32(x, _mm256_mullo_epi32(quotient, frequency));
  const __m256i less = _mm256_cmpgt_epi32(frequency, rest);
  const __m256i next = _mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32(quotient, 12), rest), start);
  const __m256i step = _mm256_sub_epi32(_mm256_set1_epi32(static_cast<int>(kTotal)), frequency);
  return _mm256_add_epi32(next, _mm256_andnot_si256(less, step));
}

}  // namespace

TARE_AVX2 size_t decode_steps_avx2(const Decoder& decoder, uint32_t* states, const uint16_t*& at, const uint16_t* end,
                                   uint8_t* out, size_t count) {
  __m256i a = load8(states), b = load8(states + 8), c = load8(states + 16), d = load8(states + 24);
  const uint32_t* const slots = decoder.slots.data();
  const __m256i byte = _mm256_set1_epi32(255), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const uint16_t* p = at;
  size_t done = 0;
  for (; done + kLanes <= count && end - p >= kLanes; done += kLanes) {
    __m256i s, t, u, v;
    a = take(slots, a, p, &s);
    b = take(slots, b, p, &t);
    c = take(slots, c, p, &u);
    d = take(slots, d, p, &v);
    const __m256i low = _mm256_packus_epi32(_mm256_and_si256(s, byte), _mm256_and_si256(t, byte));
    const __m256i high = _mm256_packus_epi32(_mm256_and_si256(u, byte), _mm256_and_si256(v, byte));
    const __m256i mixed = _mm256_packus_epi16(low, high);  // in fours: s t u v, s t u v
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + done), _mm256_permutevar8x32_epi32(mixed, order));
  }
  store8(states, a), store8(states + 8, b), store8(states + 16, c), store8(states + 24, d);
  at = p;
  return done;
}

TARE_AVX2 uint16_t* encode_steps_avx2(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in,
                                      size_t count) {
  __m256i a = load8(states), b = load8(states + 8), c = load8(states + 16), d = load8(states + 24);
  for (size_t step = count / kLanes; step-- > 0;) {
    const uint8_t* const symbols = in + step * kLanes;
    d = put8(encoder, d, at, symbols + 24);
    c = put8(encoder, c, at, symbols + 16);
    b = put8(encoder, b, at, symbols + 8);
    a = put8(encoder, a, at, symbols);
  }
  store8(states, a), store8(states + 8, b), store8(states + 16, c), store8(states + 24, d);
  return at;
}

}  // namespace tare::rans::detail

#else

namespace tare::rans::detail {

size_t decode_steps_avx2(const Decoder& decoder, uint32_t* states, const uint16_t*& at, const uint16_t* end,
                         uint8_t* out, size_t count) {
  return decode_steps_plain(decoder, states, at, end, out, count);
}
uint16_t* encode_steps_avx2(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in, size_t count) {
  return encode_steps_plain(encoder, states, at, in, count);
}

}  // namespace tare::rans::detail

#endif
