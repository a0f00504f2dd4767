#include "core/bundle/codec_rans.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace tare::rans {

Frequencies frequencies_for(const Histogram& counts) {
  Frequencies f{};
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  if (total == 0) return f;
  int32_t sum = 0;
  for (size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    const double share = static_cast<double>(counts[s]) / static_cast<double>(total) * kTotal;
    f[s] = static_cast<uint16_t>(std::clamp(std::lround(share), 1L, static_cast<long>(kTotal)));
    sum += f[s];
  }
  // Rounding leaves a few too many or too few: move where it costs least.
  const auto change = [&](size_t s, int step) {
    return static_cast<double>(counts[s]) * std::log2(static_cast<double>(f[s] + step) / f[s]);
  };
  for (const int step = sum > static_cast<int32_t>(kTotal) ? -1 : 1; sum != static_cast<int32_t>(kTotal); sum += step) {
    size_t best = 256;
    double gain = 0;
    for (size_t s = 0; s < 256; ++s) {
      if (f[s] == 0 || (step < 0 && f[s] == 1)) continue;
      if (const double g = change(s, step); best == 256 || g > gain) best = s, gain = g;
    }
    f[best] = static_cast<uint16_t>(f[best] + step);
  }
  return f;
}

double coded_bits(const Histogram& counts, const Frequencies& frequencies) {
  double bits = 0;
  for (size_t s = 0; s < 256; ++s)
    if (counts[s] > 0)
      bits += static_cast<double>(counts[s]) * (kTableBits - std::log2(static_cast<double>(frequencies[s])));
  return bits;
}

Encoder::Encoder(const Frequencies& frequencies) {
  uint32_t start = 0;
  for (size_t s = 0; s < 256; ++s) {
    const uint32_t f = frequencies[s];
    ranges[s] = f | start << 16;
    inverses[s] = f == 0 ? 0.0f : static_cast<float>((1.0 - 0x1p-21) / f);
    start += f;
  }
}
Decoder::Decoder(const Frequencies& frequencies) {
  slots.fill(0);
  uint32_t start = 0;
  for (uint32_t s = 0; s < 256; ++s) {
    for (uint32_t i = 0; i < frequencies[s] && start + i < kTotal; ++i)
      slots[start + i] = s | (uint32_t{frequencies[s]} - 1) << 8 | i << 20;
    start += frequencies[s];
  }
}

std::span<const Loops> loops_here() noexcept {
  constexpr static std::array<Loops, 3> kAll = {Loops::plain, Loops::avx2, Loops::avx512};
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
  static const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                             __builtin_cpu_supports("avx512vbmi2");
  return std::span(kAll).first(1 + size_t{avx2} + size_t{avx512});
#else
  return std::span(kAll).first(1);
#endif
}
Loops best_loops() noexcept { return loops_here().back(); }
std::string_view name(Loops loops) noexcept {
  return loops == Loops::avx512 ? "avx512" : loops == Loops::avx2 ? "avx2" : "plain";
}

namespace detail {

// x becomes floor(x / f) * 4096 + x mod f + start. With x < f * 2^20 and an inverse that is 2^-21 too small, three
// roundings to floats (each at most 2^-24) leave the quotient below the true one, by less than 1: cut to an integer it
// is floor(x / f) or one less, and the rest tells which. The vector loops do the same.
static inline uint32_t put(const Encoder& encoder, uint8_t symbol, uint32_t x, uint16_t*& at) {
  const uint32_t range = encoder.ranges[symbol], frequency = range & 0xffff, start = range >> 16;
  if ((x >> 20) >= frequency) {
    *--at = static_cast<uint16_t>(x);
    x >>= 16;
  }
  auto quotient = static_cast<uint32_t>(static_cast<int32_t>(static_cast<float>(x) * encoder.inverses[symbol]));
  uint32_t rest = x - quotient * frequency;
  if (rest >= frequency) ++quotient, rest -= frequency;
  return (quotient << kTableBits) + rest + start;
}
uint16_t* encode_steps_plain(const Encoder& encoder, uint32_t* states, uint16_t* at, const uint8_t* in, size_t count) {
  for (size_t step = count / kLanes; step-- > 0;)
    for (int lane = kLanes; lane-- > 0;)
      states[lane] = put(encoder, in[step * kLanes + static_cast<size_t>(lane)], states[lane], at);
  return at;
}
size_t decode_steps_plain(const Decoder& decoder, uint32_t* states, const uint16_t*& at, const uint16_t* end,
                          uint8_t* out, size_t count) {
  size_t done = 0;
  const uint16_t* p = at;
  for (; done + kLanes <= count && end - p >= kLanes; done += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      uint32_t x = states[lane];
      const uint32_t slot = decoder.slots[x & (kTotal - 1)];
      out[done + static_cast<size_t>(lane)] = static_cast<uint8_t>(slot);
      x = (((slot >> 8) & (kTotal - 1)) + 1) * (x >> kTableBits) + (slot >> 20);
      const uint32_t more = x << 16 | *p;
      const bool low = x < kLow;
      states[lane] = low ? more : x;
      p += low;
    }
  }
  at = p;
  return done;
}

}  // namespace detail

size_t encode(const Encoder& encoder, std::span<const uint8_t> symbols, std::span<std::byte> out, Loops loops) {
  std::array<uint32_t, kLanes> states;
  states.fill(kLow);
  // Words come last to first: they are written towards the front of a scratch buffer.
  // The vector loops may write up to kLanes words in front of the last one: they lie in front of all words here.
  thread_local std::vector<uint16_t> scratch;
  if (scratch.size() < symbols.size() + kLanes) scratch.resize(symbols.size() + kLanes);
  uint16_t* const end = scratch.data() + symbols.size() + kLanes;
  uint16_t* at = end;
  const size_t whole = symbols.size() / kLanes * kLanes;
  for (size_t i = symbols.size(); i-- > whole;)
    states[i - whole] = detail::put(encoder, symbols[i], states[i - whole], at);
  const auto steps = loops == Loops::avx512 ? detail::encode_steps_avx512
                     : loops == Loops::avx2 ? detail::encode_steps_avx2
                                            : detail::encode_steps_plain;
  at = steps(encoder, states.data(), at, symbols.data(), whole);
  const auto words = static_cast<uint32_t>(end - at);
  std::byte* to = out.data();
  std::memcpy(to, &words, 4);
  std::memcpy(to + 4, states.data(), 4 * kLanes);
  std::memcpy(to + 4 + 4 * kLanes, at, size_t{2} * words);
  const size_t bytes = 4 + 4 * kLanes + size_t{2} * words;
  if (words % 2 == 0) return bytes;
  std::memset(to + bytes, 0, 2);
  return bytes + 2;
}

Result<size_t> decode(const Decoder& decoder, std::span<const std::byte> in, std::span<uint8_t> symbols, Loops loops) {
  constexpr size_t kHead = 4 + 4 * kLanes;
  if (in.size() < kHead) return failure(Code::corrupt, "a coded plane has ", in.size(), " bytes, its head has ", kHead);
  uint32_t words = 0;
  std::array<uint32_t, kLanes> states;
  std::memcpy(&words, in.data(), 4);
  std::memcpy(states.data(), in.data() + 4, 4 * kLanes);
  const size_t bytes = kHead + 2 * (size_t{words} + words % 2);
  if (bytes > in.size()) return failure(Code::corrupt, "a coded plane announces ", words, " words, too many");
  const auto* at = reinterpret_cast<const uint16_t*>(in.data() + kHead);
  const uint16_t* const end = at + words;
  const auto steps = loops == Loops::avx512 ? detail::decode_steps_avx512
                     : loops == Loops::avx2 ? detail::decode_steps_avx2
                                            : detail::decode_steps_plain;
  size_t done = steps(decoder, states.data(), at, end, symbols.data(), symbols.size());
  for (; done < symbols.size(); ++done) {
    uint32_t& x = states[done % kLanes];
    const uint32_t slot = decoder.slots[x & (kTotal - 1)];
    symbols[done] = static_cast<uint8_t>(slot);
    x = (((slot >> 8) & (kTotal - 1)) + 1) * (x >> kTableBits) + (slot >> 20);
    if (x >= kLow) continue;
    if (at == end) return failure(Code::corrupt, "a coded plane ends after ", words, " words, expected more");
    x = x << 16 | *at++;
  }
  if (at != end) return failure(Code::corrupt, "a coded plane has ", end - at, " words more than it needs");
  if (std::any_of(states.begin(), states.end(), [](uint32_t x) { return x != kLow; }))
    return failure(Code::corrupt, "a coded plane does not end in its first state");
  return bytes;
}

}  // namespace tare::rans
