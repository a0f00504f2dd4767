// XXH64, seed 0, of several pieces at once: two pieces share a register of eight lanes, and registers take turns, so
// that a thread's multiplier is not what checking waits for. Specification: github.com/Cyan4973/xxHash,
// doc/xxhash_spec.md ("XXH64 Algorithm Description").
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tare {

// hashes[i]: of pieces[i]. As many of one as of the other. [any thread]
void hash_pieces(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes);
// The same, one after the other. [any thread]
void hash_pieces_plainly(std::span<const std::span<const std::byte>> pieces, std::span<uint64_t> hashes);

// Of long pieces that come bit by bit, so that what was just read is hashed before it leaves the cache. One thread.
class PieceHashes {
 public:
  static constexpr size_t kMost = 4;   // pieces at once: what registers hold
  static constexpr size_t kStep = 32;  // add() takes multiples of it
  PieceHashes() noexcept;
  // The next `bytes` of pieces 0 to next.size() - 1: as many pieces at every call.
  void add(std::span<const std::byte* const> next, size_t bytes) noexcept;
  // The hash of piece i, which ends with `rest`.
  uint64_t finish(size_t i, std::span<const std::byte> rest) const noexcept;

 private:
  alignas(64) std::array<std::array<uint64_t, 4>, kMost> lanes_;  // by piece
  size_t added_ = 0;
};

}  // namespace tare
