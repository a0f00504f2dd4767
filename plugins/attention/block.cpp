#include "plugins/attention/block.hpp"

#include <limits>

// clang-format off
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "plugins/attention/block.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tare::attention {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, 16>;
using U = hn::RebindToUnsigned<F>;
using I = hn::RebindToSigned<F>;
using V = hn::Vec<F>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(F()));
constexpr float kNothing = -std::numeric_limits<float>::infinity();

// e^x for x <= 0; 0 below -87, NaN for NaN. Coefficients of Cephes' expf (S. Moshier): e^r on |r| <= ln(2)/2.
HWY_INLINE V exponential(V x) {
  const F f;
  const I i;
  const V clamped = hn::Max(x, hn::Set(f, -88.0f));
  const V n = hn::Round(hn::Mul(clamped, hn::Set(f, 1.44269504088896341f)));
  V r = hn::NegMulAdd(n, hn::Set(f, 0.693359375f), clamped);
  r = hn::NegMulAdd(n, hn::Set(f, -2.12194440e-4f), r);
  V p = hn::Set(f, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(f, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(f, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(f, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(f, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(f, 5.0000001201e-1f));
  const V y = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(f, 1.0f));
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(i, n), hn::Set(i, 127)));
  const V result = hn::IfThenElseZero(hn::Gt(x, hn::Set(f, -87.0f)), hn::Mul(y, hn::BitCast(f, power)));
  return hn::IfThenElse(hn::Eq(x, x), result, x);
}
// tanh by e^(-2|x|).
HWY_INLINE V hyperbolic_tangent(V x) {
  const F f;
  const V e = exponential(hn::Mul(hn::Abs(x), hn::Set(f, -2.0f)));
  const V one = hn::Set(f, 1.0f);
  return hn::CopySign(hn::Div(hn::Sub(one, e), hn::Add(one, e)), x);
}

// Scores of kRows rows against kVectors vectors of keys, one multiply-add after the other along d.
template <bool kBf16, int kRows, int kVectors>
HWY_INLINE void score(const Block& b, int64_t row, int64_t key) {
  const F f;
  const U u;
  V sum[kRows][kVectors];
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(8)
  for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(f);
  const float* q = b.queries + row * b.query_stride;
  const auto* keys = static_cast<const uint32_t*>(b.keys) + key;
  const auto upper_half = hn::Set(u, 0xffff0000u);
  for (int64_t i = 0; i < b.key_units; ++i, keys += kBlockKeys) HWY_UNROLL(8)
  for (int v = 0; v < kVectors; ++v) {
    const auto unit = hn::LoadU(u, keys + v * kLanes);
    if constexpr (kBf16) {
      const V even = hn::BitCast(f, hn::ShiftLeft<16>(unit)), odd = hn::BitCast(f, hn::And(unit, upper_half));
      HWY_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        sum[r][v] = hn::MulAdd(even, hn::Set(f, q[r * b.query_stride + 2 * i]), sum[r][v]);
        sum[r][v] = hn::MulAdd(odd, hn::Set(f, q[r * b.query_stride + 2 * i + 1]), sum[r][v]);
      }
    } else {
      HWY_UNROLL(8)
      for (int r = 0; r < kRows; ++r)
        sum[r][v] = hn::MulAdd(hn::BitCast(f, unit), hn::Set(f, q[r * b.query_stride + i]), sum[r][v]);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(8)
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], f, b.scores + (row + r) * kBlockKeys + key + v * kLanes);
}

// mixed = mixed · decay + sum over keys [begin, end) of weight · value, in order of the keys.
template <bool kBf16, int kRows, int kVectors>
HWY_INLINE void mix(const Block& b, int64_t row, int64_t element, int64_t begin, int64_t end, const float* decay) {
  const F f;
  const U u;
  const hn::Rebind<uint16_t, F> h;
  V sum[kRows][kVectors];
  float* const mixed = b.running.mixed + row * b.running.width + element;
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(8)
  for (int v = 0; v < kVectors; ++v)
    sum[r][v] = hn::Mul(hn::LoadU(f, mixed + r * b.running.width + v * kLanes), hn::Set(f, decay[row + r]));
  const float* weight = b.scores + row * kBlockKeys;
  for (int64_t k = begin; k < end; ++k) HWY_UNROLL(8)
  for (int v = 0; v < kVectors; ++v) {
    V x;
    if constexpr (kBf16) {
      const auto half = hn::LoadU(h, static_cast<const uint16_t*>(b.values[k]) + element + v * kLanes);
      x = hn::BitCast(f, hn::ShiftLeft<16>(hn::PromoteTo(u, half)));
    } else {
      x = hn::LoadU(f, static_cast<const float*>(b.values[k]) + element + v * kLanes);
    }
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) sum[r][v] = hn::MulAdd(x, hn::Set(f, weight[r * kBlockKeys + k]), sum[r][v]);
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(8)
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], f, mixed + r * b.running.width + v * kLanes);
}

// One row's scores become weights; returns by what the row's earlier sums shrink.
HWY_INLINE float weigh(const Block& b, int64_t row) {
  const F f;
  float* const scores = b.scores + row * kBlockKeys;
  const float begin = static_cast<float>(b.first[row] - b.first_position);
  const float end = static_cast<float>(b.last[row] - b.first_position);
  const V scale = hn::Set(f, b.scale), cap = hn::Set(f, b.soft_cap);
  V top = hn::Set(f, kNothing);
  for (int64_t k = 0; k < kBlockKeys; k += kLanes) {
    V s = hn::Mul(hn::LoadU(f, scores + k), scale);
    if (b.soft_cap > 0) s = hn::Mul(cap, hyperbolic_tangent(hn::Div(s, cap)));
    const V key = hn::Iota(f, static_cast<float>(k));
    const auto seen = hn::And(hn::Ge(key, hn::Set(f, begin)), hn::Le(key, hn::Set(f, end)));
    s = hn::IfThenElse(seen, s, hn::Set(f, kNothing));
    hn::StoreU(s, f, scores + k);
    top = hn::Max(top, s);
  }
  HWY_ALIGN float lanes[16];
  hn::StoreU(top, f, lanes);
  float highest = b.running.top[row];
  for (int l = 0; l < kLanes; ++l) highest = lanes[l] > highest ? lanes[l] : highest;
  if (highest == kNothing) {  // the row sees none of these keys, and saw none before
    for (int64_t k = 0; k < kBlockKeys; k += kLanes) hn::StoreU(hn::Zero(f), f, scores + k);
    return 1;
  }
  hn::StoreU(exponential(hn::Set(f, b.running.top[row] - highest)), f, lanes);
  const float decay = lanes[0];
  b.running.top[row] = highest;
  float* const totals = b.running.totals + row * kTotalLanes;
  for (int64_t l = 0; l < kTotalLanes; l += kLanes)
    hn::StoreU(hn::Mul(hn::LoadU(f, totals + l), hn::Set(f, decay)), f, totals + l);
  for (int64_t k = 0; k < kBlockKeys; k += kLanes) {
    const V weight = exponential(hn::Sub(hn::LoadU(f, scores + k), hn::Set(f, highest)));
    hn::StoreU(weight, f, scores + k);
    float* const total = totals + k % kTotalLanes;
    hn::StoreU(hn::Add(hn::LoadU(f, total), weight), f, total);
  }
  return decay;
}

// As many rows and vectors as there are registers for.
constexpr int kRowsAtOnce = kLanes == 16 ? 6 : kLanes == 8 ? 3 : 2;
constexpr int kVectorsAtOnce = 64 / kLanes < 4 ? 64 / kLanes : 4;

template <bool kBf16, int kRows>
HWY_INLINE void score_rows(const Block& b, int64_t row) {
  for (int64_t key = 0; key < kBlockKeys; key += kVectorsAtOnce * kLanes)
    score<kBf16, kRows, kVectorsAtOnce>(b, row, key);
}
template <bool kBf16, int kRows>
HWY_INLINE void mix_rows(const Block& b, int64_t row, int64_t begin, int64_t end, const float* decay) {
  int64_t element = 0;
  for (; element + kVectorsAtOnce * kLanes <= b.running.width; element += kVectorsAtOnce * kLanes)
    mix<kBf16, kRows, kVectorsAtOnce>(b, row, element, begin, end, decay);
  for (; element < b.running.width; element += kLanes) mix<kBf16, kRows, 1>(b, row, element, begin, end, decay);
}
template <bool kBf16>
void attend_to(const Block& b) {
  int64_t row = 0;
  for (; row + kRowsAtOnce <= b.rows; row += kRowsAtOnce) score_rows<kBf16, kRowsAtOnce>(b, row);
  for (; row + 2 <= b.rows; row += 2) score_rows<kBf16, 2>(b, row);
  for (; row < b.rows; ++row) score_rows<kBf16, 1>(b, row);

  float decay[kMostRows];
  int64_t begin = kBlockKeys, end = 0;  // outside them no row sees any: their weights are 0
  for (int64_t r = 0; r < b.rows; ++r) {
    decay[r] = weigh(b, r);
    const int64_t first = b.first[r] - b.first_position, last = b.last[r] - b.first_position + 1;
    begin = first < begin ? first : begin, end = last > end ? last : end;
  }
  begin = begin < 0 ? 0 : begin, end = end > kBlockKeys ? kBlockKeys : end;

  row = 0;
  for (; row + kRowsAtOnce <= b.rows; row += kRowsAtOnce) mix_rows<kBf16, kRowsAtOnce>(b, row, begin, end, decay);
  for (; row + 2 <= b.rows; row += 2) mix_rows<kBf16, 2>(b, row, begin, end, decay);
  for (; row < b.rows; ++row) mix_rows<kBf16, 1>(b, row, begin, end, decay);
}
void attend(const Block& b) { b.bf16 ? attend_to<true>(b) : attend_to<false>(b); }

void merge(const Running& from, const Running& to, int64_t rows) {
  const F f;
  for (int64_t r = 0; r < rows; ++r) {
    if (from.top[r] == kNothing) continue;
    const float highest = from.top[r] > to.top[r] ? from.top[r] : to.top[r];
    HWY_ALIGN float lanes[16];
    hn::StoreU(exponential(hn::Set(f, from.top[r] - highest)), f, lanes);
    const V new_share = hn::Set(f, lanes[0]);
    hn::StoreU(exponential(hn::Set(f, to.top[r] - highest)), f, lanes);
    const V old_share = hn::Set(f, lanes[0]);
    to.top[r] = highest;
    const auto add = [&](const float* a, float* b, int64_t count) {
      for (int64_t i = 0; i < count; i += kLanes)
        hn::StoreU(hn::MulAdd(hn::LoadU(f, a + i), new_share, hn::Mul(hn::LoadU(f, b + i), old_share)), f, b + i);
    };
    add(from.totals + r * kTotalLanes, to.totals + r * kTotalLanes, kTotalLanes);
    add(from.mixed + r * from.width, to.mixed + r * to.width, to.width);
  }
}

void divide(const Running& running, int64_t rows, float* out) {
  const F f;
  for (int64_t r = 0; r < rows; ++r) {
    float lanes[kTotalLanes];
    for (int64_t l = 0; l < kTotalLanes; ++l) lanes[l] = running.totals[r * kTotalLanes + l];
    for (int64_t half = kTotalLanes / 2; half > 0; half /= 2)
      for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
    for (int64_t i = 0; i < running.width; i += kLanes)
      hn::StoreU(hn::Div(hn::LoadU(f, running.mixed + r * running.width + i), hn::Set(f, lanes[0])), f,
                 out + r * running.width + i);
  }
}

void widen(const uint16_t* from, int64_t count, float* to) {
  const F f;
  const U u;
  const hn::Rebind<uint16_t, F> h;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    hn::StoreU(hn::BitCast(f, hn::ShiftLeft<16>(hn::PromoteTo(u, hn::LoadU(h, from + i)))), f, to + i);
  for (; i < count; ++i) to[i] = to_float(bf16{from[i]});
}

BlockFunctions functions() { return {attend, merge, divide, widen}; }

}  // namespace HWY_NAMESPACE
}  // namespace tare::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tare::attention {

BlockFunctions block_functions(CpuTarget target) noexcept {
  return TARE_CHOOSE_CPU_TARGET(target, functions)();
}

}  // namespace tare::attention
#endif
