// The codes themselves, in portable C++: the reference encoder and decoder of a chunk (64 outputs by 32 inputs in the
// dense order cpu-tiles, 2,048 numbers). Pure functions, [any thread].
#pragma once
#include <vector>

#include "plugins/linear/coded.hpp"

namespace tare::linear {

// How often each exponent occurs.
using ExponentCounts = uint32_t[256];
void count_exponents(const uint16_t* numbers, int64_t count, ExponentCounts& counts) noexcept;

// What is chosen from the counts of a whole matrix.
struct CodeTable {
  Coding code = Coding::plain;
  uint8_t table[16] = {};
  bool holds[256] = {};  // by exponent
};
CodeTable best_split(const uint64_t (&counts)[256]) noexcept;    // 16 exponents, the first one even
CodeTable best_triples(const uint64_t (&counts)[256]) noexcept;  // the 7 commonest

class ChunkEncoder {
 public:
  explicit ChunkEncoder(const CodeTable& table);
  // `dense`: [4 tiles][512]. Writes 4 tiles; appends the escapes to `escapes`.
  void encode(const uint16_t* dense, int64_t chunk, std::byte* out, std::vector<std::byte>& escapes) const;

 private:
  void split(const uint16_t* dense, int64_t chunk, std::byte* out, std::vector<std::byte>& escapes) const;
  void triples(const uint16_t* dense, std::byte* out, std::vector<std::byte>& escapes) const;
  const CodeTable table_;
  uint8_t codes_[256] = {};  // triples: by exponent
};

// The way back: 4 tiles at `in` to [4 tiles][512]; moves the cursor behind the chunk's escapes.
void decode_split_chunk(const CodedHeader& header, const std::byte* in, int64_t chunk, EscapeCursor& escapes,
                        uint16_t* dense) noexcept;
void decode_triples_chunk(const CodedHeader& header, const std::byte* in, EscapeCursor& escapes,
                          uint16_t* dense) noexcept;
// Escapes of the record at `triples` (24 bytes).
int count_triple_escapes(const std::byte* triples) noexcept;

}  // namespace tare::linear
