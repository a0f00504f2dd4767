// The rANS loops for processors with AVX-512 (F, BW, VL; VBMI2 to encode): 32 lanes are two registers.
#include "core/bundle/codec_rans.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

namespace tare::rans {

#define TARE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2,popcnt,bmi2")))

namespace detail {

TARE_AVX512 static inline __m512i take(const uint32_t* slots, __m512i x, const uint16_t*& at, uint8_t* out) {
  const __m512i low12 = _mm512_set1_epi32(4095);
  const __m512i slot = _mm512_i32gather_epi32(_mm512_and_si512(x, low12), slots, 4);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(slot));
  const __m512i frequency = _mm512_add_epi32(_mm512_and_si512(_mm512_srli_epi32(slot, 8), low12), _mm512_set1_epi32(1));
  x = _mm512_add_epi32(_mm512_mullo_epi32(frequency, _mm512_srli_epi32(x, 12)), _mm512_srli_epi32(slot, 20));
  const __mmask16 small = _mm512_cmplt_epu32_mask(x, _mm512_set1_epi32(1 << 16));
  const __m512i words =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));  // 32 words are there
  at += _mm_popcnt_u32(small);
  const __m512i placed = _mm512_maskz_expand_epi32(small, words);
  return _mm512_mask_or_epi32(x, small, _mm512_slli_epi32(x, 16), placed);
}
TARE_AVX512 size_t decode_steps_avx512(const Decoder& decoder, uint32_t* states, const uint16_t*& at,
                                       const uint16_t* end, uint8_t* out, size_t count) {
  __m512i a = _mm512_loadu_si512(states), b = _mm512_loadu_si512(states + 16);
  const uint32_t* const slots = decoder.slots.data();
  const uint16_t* p = at;
  size_t done = 0;
  for (; done + kLanes <= count && end - p >= kLanes; done += kLanes) {
    a = take(slots, a, p, out + done);
    b = take(slots, b, p, out + done + 16);
  }
  _mm512_storeu_si512(states, a);
  _mm512_storeu_si512(states + 16, b);
  at = p;
  return done;
}

TARE_AVX512 static inline __m512i put16(const Encoder& encoder, __m512i x, uint16_t*& at, const uint8_t* in) {
  const __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
  const __m512i range = _mm512_i32gather_epi32(index, encoder.ranges.data(), 4);
  const __m512 inverse = _mm512_i32gather_ps(index, encoder.inverses.data(), 4);
  const __m512i frequency = _mm512_and_si512(range, _mm512_set1_epi32(0xffff));
  const __m512i start = _mm512_srli_epi32(range, 16);
  const __mmask16 full = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x, 20), frequency);
  const auto count = static_cast<unsigned>(_mm_popcnt_u32(full));
  at -= count;
  _mm256_mask_storeu_epi16(at, static_cast<__mmask16>((1u << count) - 1),
                           _mm256_maskz_compress_epi16(full, _mm512_cvtepi32_epi16(x)));
  x = _mm512_mask_srli_epi32(x, full, x, 16);
  // codec_rans.cpp, `put`, says why the quotient is right or one too small.
  const __m512i quotient = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepu32_ps(x), inverse));
  const __m512i rest = _mm512_sub_epi32(x, _mm512_mullo_epi32(quotient, frequency));
  const __mmask16 more = _mm512_cmpge_epu32_mask(rest, frequency);
  const __m512i next = _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(quotient, 12), rest), start);
  const __m512i step = _mm512_sub_epi32(_mm512_set1_epi32(static_cast<int>(kTotal)), frequency);
  return _mm512_mask_add_epi32(next, more, next, step);
}
TARE_AVX512 uint16_t* encode_steps_avx512(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in,
                                          size_t count) {
  __m512i a = _mm512_loadu_si512(states), b = _mm512_loadu_si512(states + 16);
  for (size_t step = count / kLanes; step-- > 0;) {
    b = put16(encoder, b, at, in + step * kLanes + 16);
    a = put16(encoder, a, at, in + step * kLanes);
  }
  _mm512_storeu_si512(states, a);
  _mm512_storeu_si512(states + 16, b);
  return at;
}

}  // namespace detail
}  // namespace tare::rans

#else

namespace tare::rans::detail {

size_t decode_steps_avx512(const Decoder& decoder, uint32_t* states, const uint16_t*& at, const uint16_t* end,
                           uint8_t* out, size_t count) {
  return decode_steps_plain(decoder, states, at, end, out, count);
}
uint16_t* encode_steps_avx512(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in, size_t count) {
  return encode_steps_plain(encoder, states, at, in, count);
}

}  // namespace tare::rans::detail

#endif
