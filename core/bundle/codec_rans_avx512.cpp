// The rANS loops for processors with AVX-512 (F, BW, VL; VBMI2 to encode): 32 lanes are two registers.
#include "core/bundle/codec_rans.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

namespace tare::rans {

#define TARE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2,popcnt,bmi2")))

bool has_avx512() noexcept {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("popcnt");
  return has;
}

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
  const __m512i index =
      _mm512_slli_epi32(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in))), 1);
  const auto* table = reinterpret_cast<const char*>(encoder.symbols.data());  // 16 bytes a symbol: double, u32, u32
  const __m256i index_low = _mm512_castsi512_si256(index), index_high = _mm512_extracti64x4_epi64(index, 1);
  const __m512d inverse_low = _mm512_i32gather_pd(index_low, table, 8);
  const __m512d inverse_high = _mm512_i32gather_pd(index_high, table, 8);
  const __m512i pair_low = _mm512_i32gather_epi64(index_low, table + 8, 8);
  const __m512i pair_high = _mm512_i32gather_epi64(index_high, table + 8, 8);
  const __m512i frequency =
      _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(pair_low)), _mm512_cvtepi64_epi32(pair_high), 1);
  const __m512i start =
      _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(_mm512_srli_epi64(pair_low, 32))),
                         _mm512_cvtepi64_epi32(_mm512_srli_epi64(pair_high, 32)), 1);
  const __mmask16 full = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x, 20), frequency);
  const auto count = static_cast<unsigned>(_mm_popcnt_u32(full));
  at -= count;
  _mm256_mask_storeu_epi16(at, static_cast<__mmask16>((1u << count) - 1),
                           _mm256_maskz_compress_epi16(full, _mm512_cvtepi32_epi16(x)));
  x = _mm512_mask_srli_epi32(x, full, x, 16);
  const __m512d half = _mm512_set1_pd(0.5);
  const __m256i q_low = _mm512_cvttpd_epu32(
      _mm512_mul_pd(_mm512_add_pd(_mm512_cvtepu32_pd(_mm512_castsi512_si256(x)), half), inverse_low));
  const __m256i q_high = _mm512_cvttpd_epu32(
      _mm512_mul_pd(_mm512_add_pd(_mm512_cvtepu32_pd(_mm512_extracti64x4_epi64(x, 1)), half), inverse_high));
  const __m512i quotient = _mm512_inserti64x4(_mm512_castsi256_si512(q_low), q_high, 1);
  const __m512i rest = _mm512_sub_epi32(_mm512_set1_epi32(static_cast<int>(kTotal)), frequency);
  return _mm512_add_epi32(_mm512_add_epi32(x, start), _mm512_mullo_epi32(quotient, rest));
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

namespace tare::rans {

bool has_avx512() noexcept { return false; }

namespace detail {

size_t decode_steps_avx512(const Decoder& decoder, uint32_t* states, const uint16_t*& at, const uint16_t* end,
                           uint8_t* out, size_t count) {
  return decode_steps_plain(decoder, states, at, end, out, count);
}
uint16_t* encode_steps_avx512(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in, size_t count) {
  return encode_steps_plain(encoder, states, at, in, count);
}

}  // namespace detail
}  // namespace tare::rans

#endif
