// Philox 4x32 with 10 rounds: random bits as a function of a counter and a key, with no state. Source: Salmon, Moraes,
// Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). [any thread]
#pragma once
#include <array>
#include <cstdint>

namespace tare::sampling {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

constexpr PhiloxCounter philox4x32_10(PhiloxCounter c, PhiloxKey k) noexcept {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(a)};
    k[0] += 0x9E3779B9, k[1] += 0xBB67AE85;
  }
  return c;
}

// The 64 bits that draw the token at `position` of choice `choice`. Key: the seed, low word first. Counter: (position,
// choice, 0, 0); the two zeros are left to later uses. Bits: words 0 (low) and 1 (high) of the result.
constexpr uint64_t random_bits(uint64_t seed, int32_t choice, int32_t position) noexcept {
  const PhiloxCounter words = philox4x32_10({static_cast<uint32_t>(position), static_cast<uint32_t>(choice), 0, 0},
                                            {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return uint64_t{words[1]} << 32 | words[0];
}

}  // namespace tare::sampling
