#include "plugins/rotary/turn.hpp"

#include <cstring>

#include "core/api/dtype.hpp"

// clang-format off
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "plugins/rotary/turn.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tare::rotary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, 16>;
using U = hn::RebindToUnsigned<F>;
using I = hn::RebindToSigned<F>;
using H = hn::Rebind<uint16_t, F>;
using V = hn::Vec<F>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(F()));

// Rounded to BF16, to nearest, ties to even, NaN quiet, as to_bf16 of dtype.hpp; in the upper half.
HWY_INLINE hn::Vec<U> rounded_bits(V value) {
  const U u;
  const auto bits = hn::BitCast(u, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1u));
  const auto nearest = hn::Add(hn::Add(bits, hn::Set(u, 0x7fffu)), odd);
  const auto is_number = hn::RebindMask(u, hn::Eq(value, value));
  const auto chosen = hn::IfThenElse(is_number, nearest, hn::Or(bits, hn::Set(u, 0x400000u)));
  return hn::And(chosen, hn::Set(u, 0xffff0000u));
}
template <bool kBf16>
HWY_INLINE V load(const void* from, int64_t at) {
  if constexpr (!kBf16) return hn::LoadU(F(), static_cast<const float*>(from) + at);
  const auto half = hn::LoadU(H(), static_cast<const uint16_t*>(from) + at);
  return hn::BitCast(F(), hn::ShiftLeft<16>(hn::PromoteTo(U(), half)));
}
template <bool kBf16>
HWY_INLINE void store(V value, void* to, int64_t at) {
  if constexpr (!kBf16) {
    hn::StoreU(value, F(), static_cast<float*>(to) + at);
  } else {
    const auto upper = hn::BitCast(I(), hn::ShiftRight<16>(rounded_bits(value)));
    hn::StoreU(hn::DemoteTo(H(), upper), H(), static_cast<uint16_t*>(to) + at);
  }
}
template <bool kBf16>
HWY_INLINE void load_pairs(const void* from, int64_t at, V& a, V& b) {
  if constexpr (kBf16) {
    const U u;
    const auto both = hn::LoadU(u, reinterpret_cast<const uint32_t*>(static_cast<const uint16_t*>(from) + at));
    a = hn::BitCast(F(), hn::ShiftLeft<16>(both));
    b = hn::BitCast(F(), hn::And(both, hn::Set(u, 0xffff0000u)));
  } else {
    hn::LoadInterleaved2(F(), static_cast<const float*>(from) + at, a, b);
  }
}
template <bool kBf16>
HWY_INLINE void store_pairs(V a, V b, void* to, int64_t at) {
  if constexpr (kBf16) {
    const auto both = hn::Or(hn::ShiftRight<16>(rounded_bits(a)), rounded_bits(b));
    hn::StoreU(both, U(), reinterpret_cast<uint32_t*>(static_cast<uint16_t*>(to) + at));
  } else {
    hn::StoreInterleaved2(a, b, F(), static_cast<float*>(to) + at);
  }
}
template <bool kBf16>
HWY_INLINE float load_one(const void* from, int64_t at) {
  if constexpr (!kBf16) return static_cast<const float*>(from)[at];
  return to_float(bf16{static_cast<const uint16_t*>(from)[at]});
}
template <bool kBf16>
HWY_INLINE void store_one(float value, void* to, int64_t at) {
  if constexpr (kBf16)
    static_cast<uint16_t*>(to)[at] = to_bf16(value).bits;
  else
    static_cast<float*>(to)[at] = value;
}

template <bool kBf16, bool kNeighbours>
void turn_all(const Turn& t) {
  constexpr int64_t kBytes = kBf16 ? 2 : 4;
  const F f;
  const V magnitude = hn::Set(f, t.magnitude);
  int64_t j = 0;
  for (; j + kLanes <= t.pairs; j += kLanes) {
    const V cosine = hn::LoadU(f, t.cosine + j), sine = hn::LoadU(f, t.sine + j);
    for (int64_t head = t.first; head < t.heads * t.width; head += t.width) {
      V a, b;
      if constexpr (kNeighbours)
        load_pairs<kBf16>(t.x, head + 2 * j, a, b);
      else
        a = load<kBf16>(t.x, head + j), b = load<kBf16>(t.x, head + j + t.pairs);
      const V x = hn::Mul(magnitude, hn::Sub(hn::Mul(a, cosine), hn::Mul(b, sine)));
      const V y = hn::Mul(magnitude, hn::Add(hn::Mul(b, cosine), hn::Mul(a, sine)));
      if constexpr (kNeighbours)
        store_pairs<kBf16>(x, y, t.out, head + 2 * j);
      else
        store<kBf16>(x, t.out, head + j), store<kBf16>(y, t.out, head + j + t.pairs);
    }
  }
  for (; j < t.pairs; ++j)
    for (int64_t head = t.first; head < t.heads * t.width; head += t.width) {
      const int64_t first = head + (kNeighbours ? 2 * j : j), second = first + (kNeighbours ? 1 : t.pairs);
      const float a = load_one<kBf16>(t.x, first), b = load_one<kBf16>(t.x, second);
      store_one<kBf16>(t.magnitude * (a * t.cosine[j] - b * t.sine[j]), t.out, first);
      store_one<kBf16>(t.magnitude * (b * t.cosine[j] + a * t.sine[j]), t.out, second);
    }
  if (t.x == t.out) return;
  const int64_t behind = t.first + 2 * t.pairs;
  for (int64_t head = 0; head < t.heads; ++head) {  // what is not turned
    const auto* from = static_cast<const unsigned char*>(t.x) + head * t.width * kBytes;
    auto* to = static_cast<unsigned char*>(t.out) + head * t.width * kBytes;
    if (t.first > 0) std::memcpy(to, from, static_cast<size_t>(t.first * kBytes));
    if (behind < t.width)
      std::memcpy(to + behind * kBytes, from + behind * kBytes, static_cast<size_t>((t.width - behind) * kBytes));
  }
}
void turn(const Turn& t) {
  if (t.bf16)
    t.neighbours ? turn_all<true, true>(t) : turn_all<true, false>(t);
  else
    t.neighbours ? turn_all<false, true>(t) : turn_all<false, false>(t);
}

}  // namespace HWY_NAMESPACE
}  // namespace tare::rotary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tare::rotary {

TurnFunction turn_function(CpuTarget target) noexcept {
  return TARE_CHOOSE_CPU_TARGET(target, turn);
}

}  // namespace tare::rotary
#endif
