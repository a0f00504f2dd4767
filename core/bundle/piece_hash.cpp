#include "core/bundle/piece_hash.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tare {
namespace {

using Lanes = std::array<uint64_t, 4>;
constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F, kPrime3 = 0x165667B19E3779F9,
                   kPrime4 = 0x85EBCA77C2B2AE63, kPrime5 = 0x27D4EB2F165667C5;
constexpr Lanes kFirst{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
constexpr size_t kStripe = 32;

uint64_t round_of(uint64_t lane, uint64_t input) noexcept { return std::rotl(lane + input * kPrime2, 31) * kPrime1; }
uint64_t read64(const std::byte* from) noexcept {
  uint64_t out;
  std::memcpy(&out, from, sizeof out);
  return out;
}
void add_stripes(Lanes& lanes, const std::byte* at, size_t bytes) noexcept {
  for (const std::byte* const end = at + bytes; at < end; at += kStripe)
    for (size_t i = 0; i < 4; ++i) lanes[i] = round_of(lanes[i], read64(at + 8 * i));
}

// A piece of at least a stripe, from its four lanes, with `rest` behind a multiple of a stripe.
uint64_t finish(Lanes lanes, size_t piece_bytes, std::span<const std::byte> rest) noexcept {
  const size_t stripes = rest.size() / kStripe * kStripe;
  add_stripes(lanes, rest.data(), stripes);
  const std::byte* at = rest.data() + stripes;
  const std::byte* const end = rest.data() + rest.size();
  uint64_t h = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
  for (const uint64_t lane : lanes) h = (h ^ round_of(0, lane)) * kPrime1 + kPrime4;
  h += piece_bytes;
  for (; end - at >= 8; at += 8) h = std::rotl(h ^ round_of(0, read64(at)), 27) * kPrime1 + kPrime4;
  if (end - at >= 4) {
    uint32_t word;
    std::memcpy(&word, at, sizeof word);
    h = std::rotl(h ^ word * kPrime1, 23) * kPrime2 + kPrime3;
    at += 4;
  }
  for (; at < end; ++at) h = std::rotl(h ^ static_cast<uint64_t>(*at) * kPrime5, 11) * kPrime1;
  h = (h ^ h >> 33) * kPrime2;
  h = (h ^ h >> 29) * kPrime3;
  return h ^ h >> 32;
}

#if defined(__x86_64__)
#define TARE_AVX512 __attribute__((target("avx512f,avx512dq")))

bool is_able() noexcept {
  static const bool able = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  return able;
}

// A product's low half as three of 32 bits: what a lane's chain of steps waits for is shorter than vpmullq, at more
// work, which pays where few registers take turns.
TARE_AVX512 inline __m512i short_multiply(__m512i a, __m512i b, __m512i b_high) noexcept {
  const __m512i across = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(a, 32), b), _mm512_mul_epu32(a, b_high));
  return _mm512_add_epi64(_mm512_mul_epu32(a, b), _mm512_slli_epi64(across, 32));
}

// The next `bytes`, whole stripes, of 2 * registers pieces; lanes: of the first, then of the second, and so on.
template <size_t registers>
TARE_AVX512 void add_together(Lanes* lanes, const std::byte* const* pieces, size_t bytes) noexcept {
  const __m512i prime1 = _mm512_set1_epi64(static_cast<int64_t>(kPrime1)), prime1_high = _mm512_srli_epi64(prime1, 32),
                prime2 = _mm512_set1_epi64(static_cast<int64_t>(kPrime2));
  __m512i state[registers];
  for (size_t r = 0; r < registers; ++r) state[r] = _mm512_loadu_si512(&lanes[2 * r]);
  for (size_t at = 0; at < bytes; at += kStripe)
    for (size_t r = 0; r < registers; ++r) {
      const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pieces[2 * r] + at));
      const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pieces[2 * r + 1] + at));
      const __m512i input = _mm512_inserti64x4(_mm512_zextsi256_si512(low), high, 1);
      state[r] = _mm512_rol_epi64(_mm512_add_epi64(state[r], _mm512_mullo_epi64(input, prime2)), 31);
      state[r] = registers == 1 ? short_multiply(state[r], prime1, prime1_high) : _mm512_mullo_epi64(state[r], prime1);
    }
  for (size_t r = 0; r < registers; ++r) _mm512_storeu_si512(&lanes[2 * r], state[r]);
}

template <size_t registers>
void hash_some(const std::span<const std::byte>* pieces, uint64_t* hashes) noexcept {
  constexpr size_t kCount = 2 * registers;
  size_t common = SIZE_MAX;
  std::array<Lanes, kCount> lanes;
  std::array<const std::byte*, kCount> at;
  for (size_t i = 0; i < kCount; ++i) {
    common = std::min(common, pieces[i].size() / kStripe * kStripe);
    lanes[i] = kFirst, at[i] = pieces[i].data();
  }
  add_together<registers>(lanes.data(), at.data(), common);
  for (size_t i = 0; i < kCount; ++i) hashes[i] = finish(lanes[i], pieces[i].size(), pieces[i].subspan(common));
}
#else
constexpr bool is_able() noexcept { return false; }
template <size_t>
void add_together(Lanes*, const std::byte* const*, size_t) noexcept {}
template <size_t>
void hash_some(const std::span<const std::byte>*, uint64_t*) noexcept {}
#endif

}  // namespace

void hash_pieces_plainly(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes) {
  for (size_t i = 0; i < pieces.size(); ++i) hashes[i] = XXH64(pieces[i].data(), pieces[i].size(), 0);
}

void hash_pieces(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes) {
  size_t i = 0;
  const auto together = [&](size_t count) {  // pieces shorter than a stripe begin otherwise
    return is_able() && i + count <= pieces.size() &&
           std::ranges::all_of(pieces.subspan(i, count), [](const auto& p) { return p.size() >= kStripe; });
  };
  for (; together(8); i += 8) hash_some<4>(&pieces[i], &hashes[i]);
  for (; together(4); i += 4) hash_some<2>(&pieces[i], &hashes[i]);
  for (; together(2); i += 2) hash_some<1>(&pieces[i], &hashes[i]);
  hash_pieces_plainly(pieces.subspan(i), hashes.subspan(i));
}

PieceHashes::PieceHashes() noexcept { lanes_.fill(kFirst); }

void PieceHashes::add(std::span<const std::byte* const> next, size_t bytes) noexcept {
  added_ += bytes;
  size_t i = 0;
  if (is_able()) {
    for (; i + 4 <= next.size(); i += 4) add_together<2>(&lanes_[i], &next[i], bytes);
    for (; i + 2 <= next.size(); i += 2) add_together<1>(&lanes_[i], &next[i], bytes);
  }
  for (; i < next.size(); ++i) add_stripes(lanes_[i], next[i], bytes);
}

uint64_t PieceHashes::finish(size_t i, std::span<const std::byte> rest) const noexcept {
  if (added_ + rest.size() < kStripe) return XXH64(rest.data(), rest.size(), 0);
  return tare::finish(lanes_[i], added_ + rest.size(), rest);
}

}  // namespace tare
