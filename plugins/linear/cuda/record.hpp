// How a matrix lies in device memory for the CUDA kernels: its records, their order, the codes `dense`, `w12`, `w11`.
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
//   w11:   1408 bytes: planes 0 and 1 of 32 lanes x 16 bytes hold the low bytes of the lane's eight groups of four
//   weights (group 2*s: a0, a1 of step s; 2*s + 1: a2, a3), then 32 x 8 and 32 x 4 bytes hold three words with sign and
//   the upper 2 bits of the code of all groups. A weight is sign, 3-bit code, 7 bits of mantissa: a window of 8
//   exponents, about 2 % of a trained matrix outside it. An escape keeps sign and mantissa in place; its exponent
//   stands in the header, 16 bits an escape: position (10), exponent (6). Header: escape count and index into the
//   overflow list, then 8 * header_blocks - 2 escapes. With 3 blocks that is 11.375 bits a weight and 0.03 for
//   each escape a record that the list takes.
//
// Payloads and headers are two arrays in one order, [block of strips][chunk][strip in the block]. Every payload is a
// multiple of 128 bytes, so any run of strips is one bulk copy whose ends are congruent modulo 128, whatever the number
// of strips in a block. Decoded exponents are 112 + code: the factor 2^(base - 112) multiplies the accumulator once,
// which is exact.
#pragma once
#include <cstdint>

namespace tare::linear_cuda {

enum class WeightCode : int32_t { kDense = 0, kW12 = 1, kW11 = 2 };

inline constexpr int kStripRows = 16;
inline constexpr int kChunkColumns = 64;
inline constexpr int kRecordWeights = kStripRows * kChunkColumns;
inline constexpr int kHeaderBlockBytes = 16;
inline constexpr int kWindow = 16;            // exponents that a w12 code covers
inline constexpr int kShortWindow = 8;        // and a w11 code
inline constexpr int kDecodedExponent = 112;  // exponent field of code 0 after decoding
inline constexpr uint32_t kEscapePattern =
    0x3800;  // what decoding makes of the all-zero weight that stands for an escape

constexpr int payload_bytes(WeightCode code) {
  return code == WeightCode::kDense ? 2048 : code == WeightCode::kW12 ? 1536 : 1408;
}
constexpr int window_of(WeightCode code) { return code == WeightCode::kW11 ? kShortWindow : kWindow; }
constexpr int header_bytes(WeightCode code, int header_blocks) {
  return code == WeightCode::kDense ? 0 : kHeaderBlockBytes * header_blocks;
}
// Escapes that fit into the header itself; word 0 is count | overflow index << 8.
constexpr int escapes_in_header(int header_blocks) { return 4 * header_blocks - 1; }
constexpr int short_escapes_in_header(int header_blocks) { return 8 * header_blocks - 2; }

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

// A w11 escape: lane << 11 | register << 7 | half << 6 | exponent. `exponent` is the weight's minus base plus 48, 1 to
// 63, or 0 for zero.
inline constexpr int kShortExponentBias = 48;
constexpr uint32_t short_escape_entry(uint32_t lane, uint32_t reg, uint32_t half, uint32_t exponent) {
  return lane << 11 | reg << 7 | half << 6 | exponent;
}
constexpr uint32_t short_escape_lane(uint32_t entry) { return (entry >> 11) & 31; }
constexpr uint32_t short_escape_register(uint32_t entry) { return (entry >> 7) & 15; }
constexpr uint32_t short_escape_half(uint32_t entry) { return (entry >> 6) & 1; }
// What turns the decoded weight, whose code is 0, into the true one: XOR bits of its exponent.
constexpr uint32_t short_escape_bits(uint32_t entry) {
  const uint32_t exponent = entry & 63;
  return (kDecodedExponent ^ (exponent == 0 ? 0u : kDecodedExponent - kShortExponentBias + exponent)) << 7;
}
// The exponent field of an escape; `exact` becomes false when w11 cannot hold the weight.
constexpr uint32_t short_escape_exponent(uint32_t weight, int base, bool& exact) {
  if ((weight & 0x7fff) == 0) return 0;
  const int exponent = static_cast<int>((weight >> 7) & 255);
  const int moved = exponent - base + kShortExponentBias;
  if (exponent == 0 || exponent == 255 || moved < 1 || moved > 63) {
    exact = false;
    return 0;
  }
  return static_cast<uint32_t>(moved);
}

// Row and column inside the record of half `half` of register `reg` (4*step + r) of lane `lane`.
constexpr int fragment_row(int lane, int reg) { return lane / 4 + 8 * (reg & 1); }
constexpr int fragment_column(int lane, int reg, int half) {
  return 16 * (reg / 4) + 2 * (lane % 4) + 8 * ((reg >> 1) & 1) + half;
}

// A weight inside the window as stored: sign, code, mantissa in bits 15, 10..7, 6..0. The escape's stand-in is 0.
constexpr bool in_window(uint32_t weight, int base, int window = kWindow) {
  const int code = static_cast<int>((weight >> 7) & 255) - base;
  return code >= 0 && code < window;
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

// A lane's share of a w11 record: 11 words from 16 registers of windowed weights (escapes: sign and mantissa alone).
// The group's bytes with sign in bit 7 and the upper code bits in bits 1..0 lie in a high word as they are (groups 0,
// 2, 4), three bits higher (1, 3, 5), and in the bits that those leave free (6, 7).
struct ShortWords {
  uint32_t low[8];
  uint32_t high[3];
};
constexpr ShortWords pack_short(const uint32_t (&registers)[16]) {
  ShortWords out{};
  for (int group = 0; group < 8; ++group) {
    uint32_t bytes = 0;
    for (int j = 0; j < 4; ++j) {
      const uint32_t weight = (registers[2 * group + j / 2] >> (16 * (j & 1))) & 0xffff;
      out.low[group] |= (weight & 0xff) << (8 * j);
      bytes |= (weight >> 15) << (8 * j + 7) | ((weight >> 8) & 3) << (8 * j);
    }
    if (group < 6) {
      out.high[group / 2] |= group % 2 == 0 ? bytes : bytes << 3 | bytes >> 29;
    } else {
      const uint32_t sign = (bytes & 0x80808080) >> 1, bit0 = (bytes & 0x01010101) << 5, bit1 = bytes & 0x02020202;
      out.high[group == 6 ? 0 : 2] |= sign | bit0;
      out.high[1] |= bit1 << (group == 6 ? 4 : 5);
    }
  }
  return out;
}

// What a kernel's decoder gives for them, without escapes: registers with exponents 112 + code. The obvious version,
// for tests.
struct RecordRegisters {
  uint32_t reg[16];
};
constexpr RecordRegisters unpack_short(const ShortWords& words) {
  RecordRegisters out{};
  for (int group = 0; group < 8; ++group) {
    for (int j = 0; j < 4; ++j) {
      const auto bit = [&](int word, int at) { return (words.high[word] >> ((8 * j + at) & 31)) & 1; };
      uint32_t sign = 0, code1 = 0, code2 = 0;
      if (group < 6) {
        const int shift = group % 2 == 0 ? 0 : 3;
        sign = bit(group / 2, 7 + shift), code1 = bit(group / 2, shift), code2 = bit(group / 2, 1 + shift);
      } else {
        sign = bit(group == 6 ? 0 : 2, 6), code1 = bit(group == 6 ? 0 : 2, 5), code2 = bit(1, group == 6 ? 5 : 6);
      }
      const uint32_t weight = sign << 15 | 0x3800 | code2 << 9 | code1 << 8 | ((words.low[group] >> (8 * j)) & 0xff);
      out.reg[2 * group + j / 2] |= weight << (16 * (j & 1));
    }
  }
  return out;
}

}  // namespace tare::linear_cuda
