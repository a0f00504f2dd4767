#include "core/base/exponents.hpp"

#include <cmath>
#include <cstring>

namespace tare {
namespace {

// Four tables, so that equal neighbours, which are common, do not wait for each other's store.
template <class Word, int kShift, int kMask>
void count(std::span<const std::byte> numbers, ExponentCounts& counts) noexcept {
  // Pieces that cannot overflow 32 bits.
  constexpr size_t kPiece = size_t{1} << 28;
  std::array<std::array<uint32_t, 256>, 4> tables;
  for (size_t begin = 0; begin < numbers.size(); begin += kPiece) {
    for (auto& table : tables) table.fill(0);
    const size_t bytes = std::min(kPiece, numbers.size() - begin), words = bytes / sizeof(Word);
    const std::byte* in = numbers.data() + begin;
    const auto exponent = [&](size_t i) {
      Word w;
      std::memcpy(&w, in + i * sizeof(Word), sizeof(Word));
      return (w >> kShift) & kMask;
    };
    size_t i = 0;
    for (; i + 4 <= words; i += 4)
      ++tables[0][exponent(i)], ++tables[1][exponent(i + 1)], ++tables[2][exponent(i + 2)],
          ++tables[3][exponent(i + 3)];
    for (; i < words; ++i) ++tables[0][exponent(i)];
    for (const auto& table : tables)
      for (size_t e = 0; e < 256; ++e) counts.of[e] += table[e];
  }
}

}  // namespace

void ExponentCounts::operator+=(const ExponentCounts& other) noexcept {
  for (size_t e = 0; e < of.size(); ++e) of[e] += other.of[e];
}
int64_t ExponentCounts::total() const noexcept {
  int64_t sum = 0;
  for (int64_t n : of) sum += n;
  return sum;
}
double ExponentCounts::entropy() const noexcept {
  const auto all = static_cast<double>(total());
  double bits = 0;
  for (int64_t n : of)
    if (n > 0) bits -= static_cast<double>(n) / all * std::log2(static_cast<double>(n) / all);
  return bits;
}
int ExponentCounts::best(int n) const noexcept {
  const auto width = static_cast<size_t>(n);
  int64_t sum = 0;
  for (size_t e = 0; e < width; ++e) sum += of[e];
  int64_t most = sum;
  size_t first = 0;
  for (size_t e = width; e < of.size(); ++e) {
    sum += of[e] - of[e - width];
    if (sum > most) most = sum, first = e - width + 1;
  }
  return static_cast<int>(first);
}
double ExponentCounts::outside(int n) const noexcept {
  const int64_t all = total();
  if (all == 0) return 0;
  int64_t inside = 0;
  const int first = best(n);
  for (int e = first; e < first + n; ++e) inside += of[static_cast<size_t>(e)];
  return static_cast<double>(all - inside) / static_cast<double>(all);
}

bool has_exponent(DType type) noexcept { return type == DType::bf16 || type == DType::f16 || type == DType::f32; }
int exponent_bias(DType type) noexcept { return type == DType::f16 ? 15 : 127; }
int other_bits(DType type) noexcept { return type == DType::f16 ? 11 : type == DType::f32 ? 24 : 8; }
void count_exponents(DType type, std::span<const std::byte> numbers, ExponentCounts& counts) noexcept {
  switch (type) {
    case DType::bf16:
      return count<uint16_t, 7, 255>(numbers, counts);
    case DType::f16:
      return count<uint16_t, 10, 31>(numbers, counts);
    case DType::f32:
      return count<uint32_t, 23, 255>(numbers, counts);
    default:
      return;
  }
}

}  // namespace tare
