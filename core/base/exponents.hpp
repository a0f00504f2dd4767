// How often each exponent occurs in numbers, and what lossless codes care about: the entropy, and how much lies outside
// the best few consecutive exponents. Plain values; [any thread].
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "core/api/dtype.hpp"

namespace tare {

struct ExponentCounts {
  std::array<int64_t, 256> of = {};  // by the stored (biased) exponent
  void operator+=(const ExponentCounts& other) noexcept;
  int64_t total() const noexcept;
  // Shannon's, in bits; 0 when there is nothing.
  double entropy() const noexcept;
  // The first of the `n` consecutive exponents that hold most (the lowest of equals). 1 <= n <= 256.
  int best(int n) const noexcept;
  // The share of the numbers that lies outside of them; 0 when there is nothing.
  double outside(int n) const noexcept;
  friend bool operator==(const ExponentCounts&, const ExponentCounts&) = default;
};

// Does the type have an exponent (BF16, F16, F32)?
bool has_exponent(DType type) noexcept;
// Biased exponent minus this is the power of two: 127, or 15 for F16.
int exponent_bias(DType type) noexcept;
// The bits of a number that are not its exponent: 8 of BF16, 11 of F16, 24 of F32.
int other_bits(DType type) noexcept;
// Adds the exponents of packed numbers. Precondition: has_exponent(type), whole numbers.
void count_exponents(DType type, std::span<const std::byte> numbers, ExponentCounts& counts) noexcept;

}  // namespace tare
