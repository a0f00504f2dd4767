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

void hash_pieces_plainly(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes) {
  for (size_t i = 0; i < pieces.size(); ++i) hashes[i] = XXH64(pieces[i].data(), pieces[i].size(), 0);
}

#if defined(__x86_64__)
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F, kPrime3 = 0x165667B19E3779F9,
                   kPrime4 = 0x85EBCA77C2B2AE63, kPrime5 = 0x27D4EB2F165667C5;
constexpr size_t kStripe = 32, kRegisters = 4, kAtOnce = 2 * kRegisters;

#define TARE_AVX512 __attribute__((target("avx512f,avx512dq")))

uint64_t round_of(uint64_t lane, uint64_t input) { return std::rotl(lane + input * kPrime2, 31) * kPrime1; }
uint64_t read64(const std::byte* from) {
  uint64_t out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

// The rest of a piece from its four lanes behind `done` bytes (a multiple of a stripe, not 0) on.
uint64_t finish(uint64_t (&lanes)[4], std::span<const std::byte> piece, size_t done) {
  const std::byte* at = piece.data() + done;
  const std::byte* const end = piece.data() + piece.size();
  for (; static_cast<size_t>(end - at) >= kStripe; at += kStripe)
    for (size_t i = 0; i < 4; ++i) lanes[i] = round_of(lanes[i], read64(at + 8 * i));
  uint64_t h = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
  for (const uint64_t lane : lanes) h = (h ^ round_of(0, lane)) * kPrime1 + kPrime4;
  h += piece.size();
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

// The stripes that 2 * registers pieces have in common, then each by itself.
template <size_t registers>
TARE_AVX512 void hash_some(const std::span<const std::byte>* pieces, uint64_t* hashes) {
  size_t common = SIZE_MAX;
  for (size_t i = 0; i < 2 * registers; ++i) common = std::min(common, pieces[i].size() / kStripe * kStripe);
  const __m512i prime1 = _mm512_set1_epi64(static_cast<int64_t>(kPrime1)),
                prime2 = _mm512_set1_epi64(static_cast<int64_t>(kPrime2));
  const auto v1 = static_cast<int64_t>(kPrime1 + kPrime2), v2 = static_cast<int64_t>(kPrime2),
             v4 = static_cast<int64_t>(0 - kPrime1);
  __m512i lanes[registers];
  for (auto& lane : lanes) lane = _mm512_setr_epi64(v1, v2, 0, v4, v1, v2, 0, v4);
  for (size_t at = 0; at < common; at += kStripe)
    for (size_t r = 0; r < registers; ++r) {
      const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pieces[2 * r].data() + at));
      const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pieces[2 * r + 1].data() + at));
      const __m512i input = _mm512_inserti64x4(_mm512_zextsi256_si512(low), high, 1);
      lanes[r] = _mm512_add_epi64(lanes[r], _mm512_mullo_epi64(input, prime2));
      lanes[r] = _mm512_mullo_epi64(_mm512_rol_epi64(lanes[r], 31), prime1);
    }
  for (size_t r = 0; r < registers; ++r) {
    alignas(64) uint64_t both[2][4];
    _mm512_store_si512(both, lanes[r]);
    for (size_t half = 0; half < 2; ++half) hashes[2 * r + half] = finish(both[half], pieces[2 * r + half], common);
  }
}

}  // namespace

void hash_pieces(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes) {
  static const bool able = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  size_t i = 0;
  const auto together = [&](size_t count) {  // pieces shorter than a stripe begin otherwise
    return able && i + count <= pieces.size() &&
           std::ranges::all_of(pieces.subspan(i, count), [](const auto& p) { return p.size() >= kStripe; });
  };
  for (; together(kAtOnce); i += kAtOnce) hash_some<kRegisters>(&pieces[i], &hashes[i]);
  for (; together(4); i += 4) hash_some<2>(&pieces[i], &hashes[i]);  // two would be slower than one by one
  hash_pieces_plainly(pieces.subspan(i), hashes.subspan(i));
}
#else
void hash_pieces(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes) {
  hash_pieces_plainly(pieces, hashes);
}
#endif

}  // namespace tare
