// SHA-256's inner loop on processors with the SHA instructions, for one message or for two at once: a message's rounds
// wait for each other, and a second one fills the gaps. [any thread]
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace tare {

// As the instructions take it: words f e b a, then h g d c.
struct Sha256Words {
  alignas(16) std::array<uint32_t, 8> words;
};
extern const Sha256Words kSha256Start;                                // FIPS 180-4, 5.3.3
std::array<uint32_t, 8> in_order(const Sha256Words& state) noexcept;  // a to h

bool has_sha_instructions() noexcept;  // the rest may not be called without
void sha256_blocks(Sha256Words* state, const std::byte* blocks, size_t count) noexcept;
void sha256_blocks_of_two(Sha256Words* a, const std::byte* blocks_a, Sha256Words* b, const std::byte* blocks_b,
                          size_t count) noexcept;

}  // namespace tare
