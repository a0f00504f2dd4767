#include "plugins/elementwise/pieces.hpp"

#include <cstring>

#include "core/api/activation.hpp"
#include "core/api/dtype.hpp"

// clang-format off
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "plugins/elementwise/pieces.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tare::elementwise {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, 16>;
using U = hn::RebindToUnsigned<F>;
using I = hn::RebindToSigned<F>;
using H = hn::Rebind<uint16_t, F>;
using V = hn::Vec<F>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(F()));

HWY_INLINE V load(const void* from, bool bf16, int64_t at) {
  if (!bf16) return hn::LoadU(F(), static_cast<const float*>(from) + at);
  const auto half = hn::LoadU(H(), static_cast<const uint16_t*>(from) + at);
  return hn::BitCast(F(), hn::ShiftLeft<16>(hn::PromoteTo(U(), half)));
}
// One rounding, to nearest, ties to even; NaN becomes quiet: to_bf16 of dtype.hpp, a vector at a time.
HWY_INLINE void store(V value, void* to, bool bf16, int64_t at) {
  if (!bf16) {
    hn::StoreU(value, F(), static_cast<float*>(to) + at);
    return;
  }
  const U u;
  const auto bits = hn::BitCast(u, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1u));
  const auto nearest = hn::Add(hn::Add(bits, hn::Set(u, 0x7fffu)), odd);
  const auto is_number = hn::RebindMask(u, hn::Eq(value, value));
  const auto upper = hn::ShiftRight<16>(hn::IfThenElse(is_number, nearest, hn::Or(bits, hn::Set(u, 0x400000u))));
  hn::StoreU(hn::DemoteTo(H(), hn::BitCast(I(), upper)), H(), static_cast<uint16_t*>(to) + at);
}

using D = hn::CappedTag<double, 8>;
using DV = hn::Vec<D>;

// tanh as (1 - e^-2|x|) / (1 + e^-2|x|) in double; within 0.6 units in the last place of f32. Below 2^-12 it is x, by
// its series x - x³/3 + ..; e^r is its Taylor polynomial, to r^10, on |r| <= ln(2)/2.
HWY_INLINE DV hyperbolic_tangent(DV x) {
  const D d;
  const hn::RebindToUnsigned<D> u;
  const DV size = hn::Abs(x);
  const DV y = hn::Mul(hn::Min(size, hn::Set(d, 20.0)), hn::Set(d, -2.0));
  const DV shift = hn::Set(d, 0x1.8p52);  // adding it leaves the nearest whole number in the lowest bits
  const DV shifted = hn::Add(hn::Mul(y, hn::Set(d, 0x1.71547652b82fep+0)), shift);
  const DV n = hn::Sub(shifted, shift);
  const DV r = hn::Sub(y, hn::Mul(n, hn::Set(d, 0x1.62e42fefa39efp-1)));
  DV p = hn::Set(d, 1.0 / 3628800);
  for (const double c : {1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
    p = hn::Add(hn::Mul(p, r), hn::Set(d, c));
  const auto power = hn::ShiftLeft<52>(hn::Add(hn::BitCast(u, shifted), hn::Set(u, uint64_t{1023})));
  const DV e = hn::Mul(p, hn::BitCast(d, power)), one = hn::Set(d, 1.0);
  const DV t = hn::CopySign(hn::Div(hn::Sub(one, e), hn::Add(one, e)), x);
  return hn::IfThenElse(hn::Ge(size, hn::Set(d, 0x1p-12)), t, x);  // NaN is x too
}
HWY_INLINE V hyperbolic_tangent_of_floats(V x) {
  constexpr int64_t kStep = static_cast<int64_t>(hn::MaxLanes(D()));
  const D d;
  const hn::Rebind<float, D> narrow;
  HWY_ALIGN float values[kLanes];
  hn::Store(x, F(), values);
  for (int64_t i = 0; i < kLanes; i += kStep)
    hn::Store(hn::DemoteTo(narrow, hyperbolic_tangent(hn::PromoteTo(d, hn::Load(narrow, values + i)))), narrow,
              values + i);
  return hn::Load(F(), values);
}

// A block of one vector at each i; the rest of less than a vector through copies of its own.
template <class Block>
HWY_INLINE void each(const Piece& p, Block block) {
  int64_t i = 0;
  for (; i + kLanes <= p.count; i += kLanes) block(p, i);
  if (i == p.count) return;
  HWY_ALIGN unsigned char a[64] = {}, b[64] = {}, out[64];
  Piece rest = p;
  const auto take = [&](const void* from, bool bf16, void* to) {
    const int64_t bytes = bf16 ? 2 : 4;
    std::memcpy(to, static_cast<const unsigned char*>(from) + i * bytes, static_cast<size_t>((p.count - i) * bytes));
  };
  take(p.a, p.a_bf16, a), rest.a = a, rest.out = out;
  if (p.b != nullptr) take(p.b, p.b_bf16, b), rest.b = b;
  block(rest, 0);
  const int64_t bytes = p.out_bf16 ? 2 : 4;
  std::memcpy(static_cast<unsigned char*>(p.out) + i * bytes, out, static_cast<size_t>((p.count - i) * bytes));
}

void add(const Piece& piece) {
  each(piece, [](const Piece& p, int64_t i)
                  HWY_ATTR { store(hn::Add(load(p.a, p.a_bf16, i), load(p.b, p.b_bf16, i)), p.out, p.out_bf16, i); });
}
void scale(const Piece& piece) {
  const V factor = hn::Set(F(), piece.factor);
  each(piece, [&](const Piece& p, int64_t i)
                  HWY_ATTR { store(hn::Mul(load(p.a, p.a_bf16, i), factor), p.out, p.out_bf16, i); });
}
void soft_cap(const Piece& piece) {
  const V cap = hn::Set(F(), piece.factor);
  each(piece, [&](const Piece& p, int64_t i) HWY_ATTR {
    const V x = hn::Div(load(p.a, p.a_bf16, i), cap);
    store(hn::Mul(cap, hyperbolic_tangent_of_floats(x)), p.out, p.out_bf16, i);
  });
}

// round(activation(x)), by the table or by the formula itself.
HWY_INLINE V activation(const Piece& p, int64_t i) {
  HWY_ALIGN float values[kLanes];
  if (p.table != nullptr) {
    HWY_ALIGN uint16_t looked_up[kLanes];
    const auto* x = static_cast<const uint16_t*>(p.a) + i;
    for (int64_t l = 0; l < kLanes; ++l) looked_up[l] = p.table[x[l]];
    return load(looked_up, true, 0);
  }
  hn::Store(load(p.a, p.a_bf16, i), F(), values);
  const DType dtype = p.out_bf16 ? DType::bf16 : DType::f32;
  for (int64_t l = 0; l < kLanes; ++l) values[l] = rounded(activated(values[l], p.activation), dtype);
  return hn::Load(F(), values);
}
void gated(const Piece& piece) {
  each(piece, [](const Piece& p, int64_t i)
                  HWY_ATTR { store(hn::Mul(activation(p, i), load(p.b, p.b_bf16, i)), p.out, p.out_bf16, i); });
}
void activate(const Piece& piece) {
  each(piece, [](const Piece& p, int64_t i) HWY_ATTR { store(activation(p, i), p.out, p.out_bf16, i); });
}

PieceFunctions functions() { return {add, scale, soft_cap, gated, activate}; }

}  // namespace HWY_NAMESPACE
}  // namespace tare::elementwise
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tare::elementwise {

PieceFunctions piece_functions(CpuTarget target) noexcept {
  return TARE_CHOOSE_CPU_TARGET(target, functions)();
}

}  // namespace tare::elementwise
#endif
