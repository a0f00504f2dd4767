#include "core/base/sha256_blocks.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace tare {

const Sha256Words kSha256Start = {
    {0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}};

std::array<uint32_t, 8> in_order(const Sha256Words& state) noexcept {
  const auto& w = state.words;
  return {w[3], w[2], w[7], w[6], w[1], w[0], w[5], w[4]};
}

#if defined(__x86_64__)

bool has_sha_instructions() noexcept {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
  }();
  return has;
}

#define TARE_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define TARE_INLINE __attribute__((always_inline)) inline

namespace {

// FIPS 180-4, 4.2.2.
alignas(64) constexpr uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// N messages, each at its own place; the compiler unrolls all of it.
template <int N>
TARE_SHA TARE_INLINE void blocks_of(Sha256Words* const* states, const std::byte* const* at, size_t count) noexcept {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef[N], cdgh[N];
  for (int m = 0; m < N; ++m) {
    const auto* from = reinterpret_cast<const __m128i*>(states[m]->words.data());
    abef[m] = _mm_load_si128(from), cdgh[m] = _mm_load_si128(from + 1);
  }
  for (size_t block = 0; block < count; ++block) {
    __m128i w[N][4], old_abef[N], old_cdgh[N];
    for (int m = 0; m < N; ++m) {
      old_abef[m] = abef[m], old_cdgh[m] = cdgh[m];
      const auto* from = reinterpret_cast<const __m128i*>(at[m] + block * 64);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) w[m][i] = _mm_shuffle_epi8(_mm_loadu_si128(from + i), big_endian);
    }
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) {
      const __m128i round = _mm_load_si128(reinterpret_cast<const __m128i*>(kRound) + r);
#pragma GCC unroll 2
      for (int m = 0; m < N; ++m) {
        __m128i& now = w[m][r & 3];
        const __m128i last = w[m][(r + 3) & 3];
        const __m128i sum = _mm_add_epi32(now, round);
        cdgh[m] = _mm_sha256rnds2_epu32(cdgh[m], abef[m], sum);
        abef[m] = _mm_sha256rnds2_epu32(abef[m], cdgh[m], _mm_shuffle_epi32(sum, 0x0e));
        if (r >= 12) continue;
        const __m128i begun = _mm_sha256msg1_epu32(now, w[m][(r + 1) & 3]);
        now = _mm_sha256msg2_epu32(_mm_add_epi32(begun, _mm_alignr_epi8(last, w[m][(r + 2) & 3], 4)), last);
      }
    }
    for (int m = 0; m < N; ++m) {
      abef[m] = _mm_add_epi32(abef[m], old_abef[m]);
      cdgh[m] = _mm_add_epi32(cdgh[m], old_cdgh[m]);
    }
  }
  for (int m = 0; m < N; ++m) {
    auto* to = reinterpret_cast<__m128i*>(states[m]->words.data());
    _mm_store_si128(to, abef[m]), _mm_store_si128(to + 1, cdgh[m]);
  }
}

}  // namespace

TARE_SHA void sha256_blocks(Sha256Words* state, const std::byte* blocks, size_t count) noexcept {
  blocks_of<1>(&state, &blocks, count);
}
TARE_SHA void sha256_blocks_of_two(Sha256Words* a, const std::byte* blocks_a, Sha256Words* b, const std::byte* blocks_b,
                                   size_t count) noexcept {
  Sha256Words* const states[2] = {a, b};
  const std::byte* const at[2] = {blocks_a, blocks_b};
  blocks_of<2>(states, at, count);
}

#else

bool has_sha_instructions() noexcept { return false; }
void sha256_blocks(Sha256Words*, const std::byte*, size_t) noexcept {}
void sha256_blocks_of_two(Sha256Words*, const std::byte*, Sha256Words*, const std::byte*, size_t) noexcept {}

#endif

}  // namespace tare
