#include "plugins/norm/rows.hpp"

#include <cmath>
#include <cstring>

// clang-format off
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "plugins/norm/rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tare::norm {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, 16>;
using U = hn::RebindToUnsigned<F>;
using I = hn::RebindToSigned<F>;
using H = hn::Rebind<uint16_t, F>;
using V = hn::Vec<F>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(F()));
constexpr int64_t kVectors = kSumLanes / kLanes;

template <bool kBf16>
HWY_INLINE V load(const void* from, int64_t at) {
  if constexpr (!kBf16) return hn::LoadU(F(), static_cast<const float*>(from) + at);
  const auto half = hn::LoadU(H(), static_cast<const uint16_t*>(from) + at);
  return hn::BitCast(F(), hn::ShiftLeft<16>(hn::PromoteTo(U(), half)));
}
// One rounding, to nearest, ties to even; NaN becomes quiet: to_bf16 of dtype.hpp, a vector at a time.
template <bool kBf16>
HWY_INLINE void store(V value, void* to, int64_t at) {
  if constexpr (!kBf16) {
    hn::StoreU(value, F(), static_cast<float*>(to) + at);
  } else {
    const U u;
    const auto bits = hn::BitCast(u, value);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1u));
    const auto nearest = hn::Add(hn::Add(bits, hn::Set(u, 0x7fffu)), odd);
    const auto is_number = hn::RebindMask(u, hn::Eq(value, value));
    const auto upper = hn::ShiftRight<16>(hn::IfThenElse(is_number, nearest, hn::Or(bits, hn::Set(u, 0x400000u))));
    hn::StoreU(hn::DemoteTo(H(), hn::BitCast(I(), upper)), H(), static_cast<uint16_t*>(to) + at);
  }
}
template <bool kBf16>
constexpr int64_t kBytes = kBf16 ? 2 : 4;

// The last count < 16 elements, zeros behind them.
template <bool kBf16>
struct Rest {
  HWY_ALIGN unsigned char data[64] = {};
  Rest(const void* x, int64_t at, int64_t count) {
    std::memcpy(data, static_cast<const unsigned char*>(x) + at * kBytes<kBf16>,
                static_cast<size_t>(count * kBytes<kBf16>));
  }
};

template <bool kBf16, class Term>
HWY_INLINE float sum(const void* x, int64_t width, Term term) {
  const F f;
  V lanes[kVectors];
  for (int64_t v = 0; v < kVectors; ++v) lanes[v] = hn::Zero(f);
  int64_t i = 0;
  for (; i + kSumLanes <= width; i += kSumLanes)
    for (int64_t v = 0; v < kVectors; ++v) lanes[v] = hn::Add(lanes[v], term(load<kBf16>(x, i + v * kLanes)));
  if (i < width) {
    const Rest<kBf16> rest(x, i, width - i);
    const V count = hn::Set(f, static_cast<float>(width - i));
    for (int64_t v = 0; v < kVectors; ++v) {
      const auto inside = hn::Lt(hn::Iota(f, static_cast<float>(v * kLanes)), count);
      lanes[v] = hn::Add(lanes[v], hn::IfThenElseZero(inside, term(load<kBf16>(rest.data, v * kLanes))));
    }
  }
  HWY_ALIGN float sums[kSumLanes];
  for (int64_t v = 0; v < kVectors; ++v) hn::Store(lanes[v], f, sums + v * kLanes);
  for (int64_t half = kSumLanes / 2; half > 0; half /= 2)
    for (int64_t l = 0; l < half; ++l) sums[l] += sums[l + half];
  return sums[0];
}

template <bool kIn, bool kOut>
HWY_INLINE void normalise(const Row& row, const void* x, void* out) {
  const F f;
  const float n = static_cast<float>(row.width);
  const float mean = row.layer ? sum<kIn>(x, row.width, [](V v) HWY_ATTR { return v; }) / n : 0.0f;
  const V centre = hn::Set(f, mean);
  const float square = sum<kIn>(x, row.width, [&](V v) HWY_ATTR {
    const V d = hn::Sub(v, centre);
    return hn::Mul(d, d);
  });
  const V inverse = hn::Set(f, 1.0f / std::sqrt(square / n + row.eps));
  const auto value = [&](V v, int64_t i) HWY_ATTR {
    V result = hn::Mul(hn::Sub(v, centre), inverse);
    if (row.scale != nullptr) result = hn::Mul(result, hn::LoadU(f, row.scale + i));
    return row.bias != nullptr ? hn::Add(result, hn::LoadU(f, row.bias + i)) : result;
  };
  int64_t i = 0;
  for (; i + kSumLanes <= row.width; i += kSumLanes)
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      store<kOut>(value(load<kIn>(x, at), at), out, at);
    }
  if (i == row.width) return;
  const Rest<kIn> rest(x, i, row.width - i);
  HWY_ALIGN unsigned char results[64];
  for (int64_t v = 0; v < kVectors; ++v)
    store<kOut>(value(load<kIn>(rest.data, v * kLanes), i + v * kLanes), results, v * kLanes);
  std::memcpy(static_cast<unsigned char*>(out) + i * kBytes<kOut>, results,
              static_cast<size_t>((row.width - i) * kBytes<kOut>));
}

template <bool kIn, bool kOut>
void all_groups(const Row& row) {
  for (int64_t g = 0; g < row.groups; ++g)
    normalise<kIn, kOut>(row, static_cast<const unsigned char*>(row.x) + g * row.width * kBytes<kIn>,
                         static_cast<unsigned char*>(row.out) + g * row.width * kBytes<kOut>);
}
void run(const Row& row) {
  if (row.x_bf16)
    row.out_bf16 ? all_groups<true, true>(row) : all_groups<true, false>(row);
  else
    row.out_bf16 ? all_groups<false, true>(row) : all_groups<false, false>(row);
}

}  // namespace HWY_NAMESPACE
}  // namespace tare::norm
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tare::norm {

RowFunction row_function(CpuTarget target) noexcept {
  return TARE_CHOOSE_CPU_TARGET(target, run);
}

}  // namespace tare::norm
#endif
