// Canonical Huffman over bytes in eight bit streams a tile, codes of at most 12 bits: what rANS is measured against.
// [any thread]
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/bundle/codec_rans.hpp"

namespace tare::bench {

class Huffman {
 public:
  static constexpr int kLongest = 12, kStreams = 8;
  explicit Huffman(const rans::Histogram& counts);
  double bits(const rans::Histogram& counts) const;  // of all of them
  // A head of kStreams u16 lengths, then the streams. Symbol i is in stream i / ceil(count / kStreams).
  void encode(std::span<const uint8_t> symbols, std::vector<uint8_t>* out) const;
  // Precondition: written by `encode`, with 8 readable bytes behind it.
  void decode(const uint8_t* in, std::span<uint8_t> symbols) const;

 private:
  std::array<uint8_t, 256> lengths_{};
  std::array<uint16_t, 256> codes_{};            // bits reversed: the first bit of a code is the lowest
  std::array<uint16_t, 1 << kLongest> table_{};  // by the next 12 bits: byte | length << 8
};

}  // namespace tare::bench
