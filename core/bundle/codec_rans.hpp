// One row of bytes as interleaved rANS: 32 lanes, so that one warp or two AVX-512 registers decode a step of 32 bytes.
// docs/formats/bundle.md, "A coded plane", defines the stream; J. Duda, "Asymmetric numeral systems", arXiv:1311.2540,
// the code; interleaving as in F. Giesen, "Interleaved entropy coders", arXiv:1402.3392. [any thread]
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare::rans {

constexpr int kLanes = 32;
constexpr uint32_t kTableBits = 12, kTotal = 1u << kTableBits;  // frequencies add up to kTotal
constexpr uint32_t kLow = 1u << 16;                             // a lane's state stays in [kLow, 2^32)

using Histogram = std::array<int64_t, 256>;
using Frequencies = std::array<uint16_t, 256>;  // 0: does not occur

// The table for these counts: every byte that occurs gets at least 1, the sum is kTotal, the code length is the
// smallest that steps of 1 reach. All zero for an empty histogram.
Frequencies frequencies_for(const Histogram& counts);
// Bits that `counts` take under that table; what does not occur in it may not be counted.
double coded_bits(const Histogram& counts, const Frequencies& frequencies);

struct Encoder {
  explicit Encoder(const Frequencies& frequencies);
  // By symbol: frequency (0: does not occur) | start, the sum of the frequencies of smaller bytes, << 16.
  alignas(64) std::array<uint32_t, 256> ranges;
  // A little less than 1 / frequency: quotient_of says why.
  alignas(64) std::array<float, 256> inverses;
};
struct Decoder {
  explicit Decoder(const Frequencies& frequencies);
  // By state & (kTotal - 1): byte | (frequency - 1) << 8 | (slot - start) << 20.
  alignas(64) std::array<uint32_t, kTotal> slots;
};

// Which loops run. All give the same bytes; those that the processor lacks may not be asked for.
enum class Loops { plain, avx2, avx512 };
Loops best_loops() noexcept;
std::span<const Loops> loops_here() noexcept;  // all that run on this processor, plain first
std::string_view name(Loops loops) noexcept;
// Bytes that `count` symbols can take at most, head included, for the buffer of `encode`.
constexpr size_t most_coded_bytes(size_t count) noexcept { return 4 + 4 * kLanes + 2 * count + 2; }
// Writes u32 words, 32 x u32 states, the words as u16, and two zero bytes if their number is odd. Returns the bytes.
// Every symbol must occur in the table.
size_t encode(const Encoder& encoder, std::span<const uint8_t> symbols, std::span<std::byte> out,
              Loops loops = best_loops());
// Fills `symbols` from the front of `in` and gives the bytes that were used. Corrupt: `in` ends early, words are left,
// or a lane does not end where it began.
Result<size_t> decode(const Decoder& decoder, std::span<const std::byte> in, std::span<uint8_t> symbols,
                      Loops loops = best_loops());

// Whole steps of 32 symbols. Decoders take words from `at`, which is left behind the last one taken, and stop (giving
// the number of symbols done) where fewer than 32 words are left; encoders go from the last step to the first and put
// words in front of `at`.
namespace detail {
size_t decode_steps_plain(const Decoder& decoder, uint32_t* states, const uint16_t*& at, const uint16_t* end,
                          uint8_t* out, size_t count);
size_t decode_steps_avx2(const Decoder& decoder, uint32_t* states, const uint16_t*& at, const uint16_t* end,
                         uint8_t* out, size_t count);
size_t decode_steps_avx512(const Decoder& decoder, uint32_t* states, const uint16_t*& at, const uint16_t* end,
                           uint8_t* out, size_t count);
uint16_t* encode_steps_plain(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in, size_t count);
uint16_t* encode_steps_avx2(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in, size_t count);
uint16_t* encode_steps_avx512(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in, size_t count);
}  // namespace detail

}  // namespace tare::rans
