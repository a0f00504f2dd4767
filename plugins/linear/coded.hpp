// The codes "w12" and "w11" in the order cpu-tiles (cpu_tiles.hpp): BF16 matrices in 12 or about 11.3 bits a weight, no
// bit lost. docs/formats/layouts.md describes every byte; this header is the same in C++. Pure values, [any thread].
//
//   header, 128 bytes | [strips][chunks] | (strips + 1) offsets of escapes | escapes | 64 bytes of zeros
//
// A tile of the dense order holds 8 records of 64 numbers (two pairs of K for 16 outputs). `plain`: chunks are the
// dense ones, nothing follows. The codes put the records of the four tiles side by side, so that a kernel reads a chunk
// from front to back, whatever its vectors. `split` (w12): [8 records]{[4 tiles][64 low bytes], [4 tiles][32 bytes of
// nibbles]}. `triples` (w11): [4]{[2 records][4 tiles][64 bytes of mantissa and sign], [2 records][4 tiles][24 bytes of
// 3-bit codes]}: whole lines of the cache.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "plugins/linear/cpu_tiles.hpp"

namespace tare::linear {

constexpr std::string_view kW12 = "w12/cpu-tiles", kW11 = "w11/cpu-tiles";

enum class Coding : uint32_t { plain = 0, split = 1, triples = 2 };

constexpr int64_t kRecord = 64, kRecordsPerTile = 8, kRecordsPerChunk = kTiles * kRecordsPerTile;
constexpr int64_t kNibbleBytes = 32, kTripleBytes = 24;                       // of a record, beside its 64 low bytes
constexpr int64_t kSplitStepBytes = kTiles * (kRecord + kNibbleBytes);        // a record of each tile
constexpr int64_t kTriplesPairBytes = 2 * kTiles * (kRecord + kTripleBytes);  // two
constexpr int64_t kCodedHeaderBytes = 128, kCodedTailBytes = 64;
constexpr int64_t kMostCodedInputs = (1 << 18) - 32;  // so that a place in a strip takes 24 bits, not all ones
constexpr uint32_t kNoEscape = 0xffffffffu;           // ends the escapes of a strip (split)

constexpr int64_t chunk_bytes(Coding code) noexcept {
  return code == Coding::plain   ? kChunkBytes
         : code == Coding::split ? kRecordsPerTile * kSplitStepBytes
                                 : kRecordsPerTile / 2 * kTriplesPairBytes;
}
// Where in a chunk a record's low bytes and its codes lie.
constexpr int64_t split_low_at(int64_t record, int64_t tile) noexcept {
  return record * kSplitStepBytes + tile * kRecord;
}
constexpr int64_t split_codes_at(int64_t record, int64_t tile) noexcept {
  return record * kSplitStepBytes + kTiles * kRecord + tile * kNibbleBytes;
}
constexpr int64_t triples_low_at(int64_t record, int64_t tile) noexcept {
  return record / 2 * kTriplesPairBytes + (record % 2 * kTiles + tile) * kRecord;
}
constexpr int64_t triples_codes_at(int64_t record, int64_t tile) noexcept {
  return record / 2 * kTriplesPairBytes + 2 * kTiles * kRecord + (record % 2 * kTiles + tile) * kTripleBytes;
}

// Little-endian, as it lies.
struct CodedHeader {
  char magic[8] = {'t', 'a', 'r', 'e', 'c', 'o', 'd', 'e'};
  uint32_t version = 1;
  Coding code = Coding::plain;
  int64_t outputs = 0, inputs = 0;
  int64_t escapes = 0;                   // weights that the code could not hold
  int64_t index_at = 0, escapes_at = 0;  // in bytes from the header; 0: none
  int64_t bytes = 0;                     // of everything
  uint8_t table[16] = {};                // split: high byte of a nibble. triples: exponent of a code, 0 the escape
  uint8_t reserved[48] = {};
};
static_assert(sizeof(CodedHeader) == kCodedHeaderBytes);

// Records are stored so that vectors of 16, 32 or 64 bytes decode by interleaving: number j of a record (j < 32: its
// first pair of K) has its byte at this place, so that the interleaved lower halves of 16-byte lanes are the first
// pair and the upper halves the second.
constexpr int64_t record_place(int64_t j) noexcept { return j % 32 / 8 * 16 + j / 32 * 8 + j % 8; }
constexpr int64_t record_number(int64_t place) noexcept { return place % 16 / 8 * 32 + place / 16 * 8 + place % 8; }

// Escapes of split, in the order in which kernels meet them: chunk, record of a tile, tile, place.
// Bits 8..31: place in the strip; bits 0..7: what the decoded high byte is XORed with.
constexpr uint32_t escape_record(uint32_t word) noexcept { return word >> 14; }
constexpr uint32_t escape_step(uint32_t word) noexcept { return word >> 16; }
constexpr uint32_t escape_place(uint32_t word) noexcept { return word >> 8 & 63; }
// Where record i of tile t lies in that order.
constexpr uint32_t record_index(int64_t chunk, int64_t record, int64_t tile) noexcept {
  return static_cast<uint32_t>((chunk * kRecordsPerTile + record) * kTiles + tile);
}

// A laid-out matrix as a kernel reads it. What it points to is trusted: our own encoder wrote it.
struct CodedMatrix {
  const CodedHeader* header = nullptr;
  const std::byte* data = nullptr;
  explicit CodedMatrix(const void* at) noexcept
      : header(static_cast<const CodedHeader*>(at)), data(static_cast<const std::byte*>(at)) {}
  Coding code() const noexcept { return header->code; }
  int64_t chunks() const noexcept { return num_chunks(header->inputs); }
  int64_t strip_bytes() const noexcept { return chunks() * chunk_bytes(code()); }
  const std::byte* strip(int64_t s) const noexcept { return data + kCodedHeaderBytes + s * strip_bytes(); }
  // Escapes of strip s: words (split) or exponents (triples), by the offsets of the index.
  const std::byte* escapes(int64_t s) const noexcept {
    int64_t offset;
    std::memcpy(&offset, data + header->index_at + 8 * s, 8);
    return data + header->escapes_at + offset;
  }
};

// Where a decoder is in a strip's escapes. They are consumed in order of K.
struct EscapeCursor {
  const std::byte* at = nullptr;
  uint32_t word() const noexcept {
    uint32_t w;
    std::memcpy(&w, at, 4);
    return w;
  }
};

}  // namespace tare::linear
