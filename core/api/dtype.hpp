// Element types of tensors, and the conversions between BF16, F16 and F32 that every reference kernel uses. [any
// thread]
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace tare {

enum class DType : uint8_t { bf16, f16, f32, i32, i64, u8 };

constexpr int64_t size_of(DType dtype) noexcept {
  constexpr int64_t sizes[] = {2, 2, 4, 4, 8, 1};
  return sizes[static_cast<size_t>(dtype)];
}
constexpr std::string_view name(DType dtype) noexcept {
  constexpr std::string_view names[] = {"bf16", "f16", "f32", "i32", "i64", "u8"};
  return names[static_cast<size_t>(dtype)];
}
constexpr std::optional<DType> dtype_named(std::string_view text) noexcept {
  for (uint8_t i = 0; i <= static_cast<uint8_t>(DType::u8); ++i)
    if (name(static_cast<DType>(i)) == text) return static_cast<DType>(i);
  return std::nullopt;
}

// Storage for one BF16 number: the upper half of an F32.
struct bf16 {
  uint16_t bits = 0;
  bool operator==(const bf16&) const = default;
};
struct f16 {
  uint16_t bits = 0;
  bool operator==(const f16&) const = default;
};

constexpr float to_float(bf16 value) noexcept { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }
constexpr float to_float(float value) noexcept { return value; }
// Round to nearest, ties to even; NaN stays a (quiet) NaN.
constexpr bf16 to_bf16(float value) noexcept {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16)};
}
// IEEE 754 binary16 to binary32, exact (subnormals, infinities and NaN payloads included).
constexpr float to_float(f16 value) noexcept {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t exponent = (value.bits >> 10) & 31, mantissa = value.bits & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}
// One rounding of `value` to a model's activation type; F32 keeps it.
constexpr float rounded(float value, DType dtype) noexcept {
  return dtype == DType::bf16 ? to_float(to_bf16(value)) : value;
}

}  // namespace tare
