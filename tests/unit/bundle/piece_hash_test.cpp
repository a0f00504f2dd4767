// Checksums of several pieces at once are those of each by itself, whatever their lengths and places.
#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "core/bundle/piece_hash.hpp"

using namespace tare;

TEST_CASE("pieces that are checked together have the checksums that they have alone") {
  std::mt19937_64 random(3);
  std::vector<std::byte> bytes(100000);
  for (auto& b : bytes) b = static_cast<std::byte>(random());
  // Known: XXH64 of nothing, and of "abc".
  const std::string abc = "abc";
  const std::vector<std::span<const std::byte>> known{{}, std::as_bytes(std::span(abc))};
  std::vector<uint64_t> two(2);
  hash_pieces(known, two);
  CHECK(two == std::vector<uint64_t>{0xEF46DB3751D8E999, 0x44BC2CF5AD770999});
  for (int round = 0; round < 400; ++round) {
    const size_t longest = round % 4 == 0 ? 70 : 5000;  // some pieces without a whole stripe
    std::vector<std::span<const std::byte>> pieces;
    for (size_t i = random() % 30; i > 0; --i) {
      const size_t length = random() % longest, at = random() % (bytes.size() - length);
      pieces.push_back(std::span<const std::byte>(bytes).subspan(at, length));
    }
    std::vector<uint64_t> together(pieces.size()), alone(pieces.size());
    hash_pieces(pieces, together);
    hash_pieces_plainly(pieces, alone);
    CHECK(together == alone);
  }
}

TEST_CASE("pieces that come bit by bit have the checksums that they have at once") {
  std::mt19937_64 random(4);
  std::vector<std::byte> bytes(100000);
  for (auto& b : bytes) b = static_cast<std::byte>(random());
  for (int round = 0; round < 300; ++round) {
    const size_t count = 1 + random() % PieceHashes::kMost, steps = random() % 5;
    std::vector<std::span<const std::byte>> pieces;
    PieceHashes hashes;
    size_t done = 0;
    std::vector<size_t> starts;
    for (size_t i = 0; i < count; ++i) starts.push_back(random() % 50000);
    for (size_t s = 0; s < steps; ++s) {
      const size_t step = random() % 60 * PieceHashes::kStep;
      std::vector<const std::byte*> next;
      for (const size_t start : starts) next.push_back(bytes.data() + start + done);
      hashes.add(next, step);
      done += step;
    }
    for (size_t i = 0; i < count; ++i) {
      const size_t rest = random() % 100;
      pieces.push_back(std::span<const std::byte>(bytes).subspan(starts[i], done + rest));
      uint64_t alone = 0;
      hash_pieces_plainly(std::span(pieces).last(1), {&alone, 1});
      CHECK(hashes.finish(i, pieces.back().subspan(done)) == alone);
    }
  }
}
