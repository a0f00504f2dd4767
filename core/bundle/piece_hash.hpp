// XXH64, seed 0, of several pieces at once: two pieces share a register of eight lanes, and registers take turns, so
// that a thread's multiplier is not what checking waits for. Specification: github.com/Cyan4973/xxHash,
// doc/xxhash_spec.md ("XXH64 Algorithm Description"). [any thread]
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace tare {

// hashes[i]: of pieces[i]. As many of one as of the other.
void hash_pieces(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes);
// The same, one after the other.
void hash_pieces_plainly(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes);

}  // namespace tare
