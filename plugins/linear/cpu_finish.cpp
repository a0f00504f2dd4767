#include "plugins/linear/cpu_finish.hpp"

#include <cstring>

#include "core/api/activation.hpp"

// clang-format off
#include "plugins/linear/cpu_highway_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "plugins/linear/cpu_finish.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tare::linear {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, 16>;
using U = hn::RebindToUnsigned<F>;
using I = hn::RebindToSigned<F>;
using H = hn::Rebind<uint16_t, F>;

// Round to nearest, ties to even; NaN becomes quiet: to_bf16 of dtype.hpp, a vector at a time. In the upper half.
HWY_INLINE hn::Vec<U> round_bits(hn::Vec<F> value) {
  const U u;
  const I i;
  const auto bits = hn::BitCast(u, value);
  const auto magnitude = hn::BitCast(i, hn::And(bits, hn::Set(u, 0x7fffffffu)));
  const auto is_nan = hn::RebindMask(u, hn::Gt(magnitude, hn::Set(i, 0x7f800000)));
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1u));
  const auto rounded_bits = hn::Add(hn::Add(bits, hn::Set(u, 0x7fffu)), odd);
  const auto quiet = hn::Or(bits, hn::Set(u, 0x400000u));
  return hn::And(hn::IfThenElse(is_nan, quiet, rounded_bits), hn::Set(u, 0xffff0000u));
}
HWY_INLINE hn::Vec<F> rounded_to(hn::Vec<F> value, DType dtype) {
  return dtype == DType::bf16 ? hn::BitCast(F(), round_bits(value)) : value;
}
HWY_INLINE hn::Vec<F> load_as_f32(const void* from, DType dtype, int64_t at) {
  if (dtype == DType::f32) return hn::LoadU(F(), static_cast<const float*>(from) + at);
  const auto half = hn::LoadU(H(), static_cast<const uint16_t*>(from) + at);
  return hn::BitCast(F(), hn::ShiftLeft<16>(hn::PromoteTo(U(), half)));
}
HWY_INLINE void store_rounded(hn::Vec<F> value, void* to, DType dtype, int64_t at) {
  if (dtype == DType::f32) {
    hn::StoreU(value, F(), static_cast<float*>(to) + at);
  } else {
    const auto upper = hn::BitCast(I(), hn::ShiftRight<16>(round_bits(value)));
    hn::StoreU(hn::DemoteTo(H(), upper), H(), static_cast<uint16_t*>(to) + at);
  }
}
HWY_INLINE hn::Vec<F> with_bias(const float* sums, const float* bias, int64_t at) {
  const auto value = hn::LoadU(F(), sums + at);
  return bias == nullptr ? value : hn::Add(value, hn::LoadU(F(), bias + at));
}

// One row of 64; `out` and `residual` hold 64 elements.
HWY_INLINE void finish_row(const Finish& f, const float* sums, const float* second, const void* residual, void* out) {
  constexpr int64_t kLanes = hn::MaxLanes(F());
  if (f.tail == Tail::none) {
    for (int64_t i = 0; i < 64; i += kLanes) store_rounded(with_bias(sums, f.bias, i), out, f.out_dtype, i);
  } else if (f.tail == Tail::add) {
    for (int64_t i = 0; i < 64; i += kLanes) {
      const auto product = rounded_to(with_bias(sums, f.bias, i), f.result);
      store_rounded(hn::Add(product, load_as_f32(residual, f.residual_dtype, i)), out, f.out_dtype, i);
    }
  } else if (f.table != nullptr) {
    HWY_ALIGN uint16_t gate[64];
    for (int64_t i = 0; i < 64; i += kLanes) store_rounded(with_bias(sums, f.bias, i), gate, DType::bf16, i);
    for (uint16_t& g : gate) g = f.table[g];
    for (int64_t i = 0; i < 64; i += kLanes) {
      const auto up = rounded_to(with_bias(second, f.second_bias, i), DType::bf16);
      store_rounded(hn::Mul(load_as_f32(gate, DType::bf16, i), up), out, DType::bf16, i);
    }
  } else {
    HWY_ALIGN float gate[64];
    for (int64_t i = 0; i < 64; i += kLanes)
      hn::StoreU(rounded_to(with_bias(sums, f.bias, i), f.result), F(), gate + i);
    for (float& g : gate) g = rounded(activated(g, f.activation), f.out_dtype);
    for (int64_t i = 0; i < 64; i += kLanes) {
      const auto up = rounded_to(with_bias(second, f.second_bias, i), f.result);
      store_rounded(hn::Mul(hn::LoadU(F(), gate + i), up), out, f.out_dtype, i);
    }
  }
}

void finish(const Finish& f) {
  const int64_t out_bytes = size_of(f.out_dtype), residual_bytes = size_of(f.residual_dtype);
  for (int64_t r = 0; r < f.rows; ++r) {
    auto* out = static_cast<unsigned char*>(f.out) + r * f.out_stride * out_bytes;
    const auto* residual = f.residual == nullptr
                               ? nullptr
                               : static_cast<const unsigned char*>(f.residual) + r * f.residual_stride * residual_bytes;
    const float* second = f.second_sums == nullptr ? nullptr : f.second_sums + r * 64;
    if (f.outputs == 64) {
      finish_row(f, f.sums + r * 64, second, residual, out);
      continue;
    }
    HWY_ALIGN unsigned char out_copy[256], residual_copy[256] = {};
    if (residual != nullptr) std::memcpy(residual_copy, residual, static_cast<size_t>(f.outputs * residual_bytes));
    finish_row(f, f.sums + r * 64, second, residual_copy, out_copy);
    std::memcpy(out, out_copy, static_cast<size_t>(f.outputs * out_bytes));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tare::linear
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tare::linear {

FinishFunction finish_for(CpuTarget target) noexcept {
  return TARE_CHOOSE_CPU_TARGET(target, finish);
}

ActivationTable::ActivationTable(Activation activation) : values_(65536) {
  for (uint32_t bits = 0; bits < 65536; ++bits)
    values_[bits] = to_bf16(activated(to_float(bf16{static_cast<uint16_t>(bits)}), activation)).bits;
}

}  // namespace tare::linear
#endif
