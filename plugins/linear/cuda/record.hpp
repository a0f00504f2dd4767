// How a matrix lies in device memory for the CUDA kernels: its records, their order, the codes `dense` and `w12`.
// Included by host code and by kernels; holds no CUDA. Pure functions and plain values: any thread.
//
// A record is 16 rows x 64 columns (a strip by a chunk) in the order of tensor-core fragments: lane 4*g + t of a warp
// owns, for each step s of 16 columns, registers a0..a3; register r holds row g + 8*(r & 1), columns 16*s + 2*t + 8*(r
// >> 1) (low half) and one more.
//
//   dense: 2048 bytes = 4 planes of 32 lanes x 16 bytes; plane s holds the four registers of step s.
//   w12:   1536 bytes = 3 planes of 32 lanes x 16 bytes; word i of plane p is word 4*p + i of the lane's 12; step s
//   owns 3*s..3*s+2:
//          low bytes of a0, a1; low bytes of a2, a3; the high nibbles (sign and the upper 3 bits of the code) of all
//          eight. A weight is sign, 4-bit code, 7 bits of mantissa; code = exponent - base, so a window of 16
//          exponents. A header of 16 * header_blocks bytes lies apart: escape count and index into the overflow list,
//          then the first escapes.
//
// Payloads and headers are two arrays in one order, [block of strips][chunk][strip in the block]. Every payload is a
// multiple of 128 bytes, so any run of strips is one bulk copy whose ends are congruent modulo 128, whatever the number
// of strips in a block. Decoded exponents are 112 + code: the factor 2^(base - 112) multiplies the accumulator once,
// which is exact.
#pragma once
#include <cstdint>

namespace tare::linear_cuda {

enum class WeightCode : int32_t { kDense = 0, kW12 = 1 };

inline constexpr int kStripRows = 16;
inline constexpr int kChunkColumns = 64;
inline constexpr int kRecordWeights = kStripRows * kChunkColumns;
inline constexpr int kHeaderBlockBytes = 16;
inline constexpr int kWindow = 16;            // exponents that a w12 code covers
inline constexpr int kDecodedExponent = 112;  // exponent field of code 0 after decoding
inline constexpr uint32_t kEscapePattern =
    0x3800;  // what decoding makes of the all-zero weight that stands for an escape

constexpr int payload_bytes(WeightCode code) { return code == WeightCode::kDense ? 2048 : 1536; }
constexpr int header_bytes(WeightCode code, int header_blocks) {
  return code == WeightCode::kDense ? 0 : kHeaderBlockBytes * header_blocks;
}
// Escapes that fit into the header itself; word 0 is count | overflow index << 8.
constexpr int escapes_in_header(int header_blocks) { return 4 * header_blocks - 1; }

// Where records lie. rows: a multiple of 16 * strips_per_block; columns: a multiple of 64.
struct RecordOrder {
  int32_t rows = 0;
  int32_t columns = 0;
  int32_t strips_per_block = 0;

  constexpr int32_t strips() const { return rows / kStripRows; }
  constexpr int32_t chunks() const { return columns / kChunkColumns; }
  constexpr int64_t records() const { return int64_t{strips()} * chunks(); }
  constexpr int64_t index(int32_t strip, int32_t chunk) const {
    const int32_t block = strip / strips_per_block;
    return (int64_t{block} * chunks() + chunk) * strips_per_block + (strip - block * strips_per_block);
  }
  friend constexpr bool operator==(const RecordOrder&, const RecordOrder&) = default;
};

// An escape: owner lane << 27 | register (4*step + r) << 23 | half << 22 | (scaled weight XOR kEscapePattern).
constexpr uint32_t escape_entry(uint32_t lane, uint32_t reg, uint32_t half, uint32_t scaled_weight) {
  return lane << 27 | reg << 23 | half << 22 | (scaled_weight ^ kEscapePattern);
}
constexpr uint32_t escape_lane(uint32_t entry) { return entry >> 27; }
constexpr uint32_t escape_register(uint32_t entry) { return (entry >> 23) & 15; }
constexpr uint32_t escape_half(uint32_t entry) { return (entry >> 22) & 1; }
constexpr uint32_t escape_bits(uint32_t entry) { return entry & 0xffff; }

// Row and column inside the record of half `half` of register `reg` (4*step + r) of lane `lane`.
constexpr int fragment_row(int lane, int reg) { return lane / 4 + 8 * (reg & 1); }
constexpr int fragment_column(int lane, int reg, int half) {
  return 16 * (reg / 4) + 2 * (lane % 4) + 8 * ((reg >> 1) & 1) + half;
}

// A weight inside the window as stored: sign, code, mantissa in bits 15, 10..7, 6..0. The escape's stand-in is 0.
constexpr bool in_window(uint32_t weight, int base) {
  const int code = static_cast<int>((weight >> 7) & 255) - base;
  return code >= 0 && code < kWindow;
}
constexpr uint32_t windowed(uint32_t weight, int base) {
  const uint32_t code = ((weight >> 7) & 255) - static_cast<uint32_t>(base);
  return (weight & 0x8000) | code << 7 | (weight & 0x7f);
}

// weight * 2^shift in bf16 bits; `exact` becomes false when the result is no normal number (zeros are fine).
// Subnormals are normalised when the shift allows it: their few significant bits always fit.
constexpr uint32_t scale_weight(uint32_t weight, int shift, bool& exact) {
  const uint32_t sign = weight & 0x8000;
  uint32_t mantissa = weight & 0x7f;
  int exponent = static_cast<int>((weight >> 7) & 255);
  if (exponent == 0) {
    if (mantissa == 0) return sign;
    exponent = 1;
    while ((mantissa & 0x80) == 0) {
      mantissa <<= 1;
      --exponent;
    }
    mantissa &= 0x7f;
  } else if (exponent == 255) {
    exact = false;
    return weight;
  }
  exponent += shift;
  if (exponent < 1 || exponent > 254) {
    exact = false;
    return weight;
  }
  return sign | static_cast<uint32_t>(exponent) << 7 | mantissa;
}

// The inverse of scale_weight: weight * 2^-shift, back to a subnormal where the original was one.
constexpr uint32_t unscale_weight(uint32_t scaled, int shift) {
  const uint32_t sign = scaled & 0x8000;
  if ((scaled & 0x7fff) == 0) return sign;
  int exponent = static_cast<int>((scaled >> 7) & 255) - shift;
  uint32_t mantissa = scaled & 0x7f;
  if (exponent >= 1) return sign | static_cast<uint32_t>(exponent) << 7 | mantissa;
  mantissa |= 0x80;
  for (; exponent < 1; ++exponent) mantissa >>= 1;
  return sign | mantissa;
}

// The three words of one step from its four registers of windowed weights.
struct StepWords {
  uint32_t word[3];
};
constexpr StepWords pack_step(const uint32_t (&registers)[4]) {
  StepWords out{};
  for (int j = 0; j < 4; ++j) {
    const uint32_t a = (registers[j / 2] >> (16 * (j & 1))) & 0xffff;
    const uint32_t b = (registers[2 + j / 2] >> (16 * (j & 1))) & 0xffff;
    out.word[0] |= (a & 0xff) << (8 * j);
    out.word[1] |= (b & 0xff) << (8 * j);
    // nibbles of a0, a1: bits 7 and 2..0 of byte j; those of a2, a3: four bits lower, so that a rotation by 4 brings
    // them there
    out.word[2] |= ((a >> 8) & 7) << (8 * j) | (a >> 15) << (8 * j + 7);
    out.word[2] |= ((b >> 8) & 7) << ((8 * j + 28) & 31) | (b >> 15) << (8 * j + 3);
  }
  return out;
}

// What a kernel's decoder gives for the three words: registers with exponents 112 + code. The obvious version, for
// tests.
struct StepRegisters {
  uint32_t reg[4];
};
constexpr StepRegisters unpack_step(const StepWords& words) {
  StepRegisters out{};
  const uint32_t high_a = words.word[2];
  const uint32_t high_b = words.word[2] << 4 | words.word[2] >> 28;
  for (int j = 0; j < 4; ++j) {
    const uint32_t a = ((words.word[0] >> (8 * j)) & 0xff) | (((high_a >> (8 * j)) & 0x87) | 0x38) << 8;
    const uint32_t b = ((words.word[1] >> (8 * j)) & 0xff) | (((high_b >> (8 * j)) & 0x87) | 0x38) << 8;
    out.reg[j / 2] |= a << (16 * (j & 1));
    out.reg[2 + j / 2] |= b << (16 * (j & 1));
  }
  return out;
}

}  // namespace tare::linear_cuda
