#include "core/bundle/convert.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace {

using namespace tare;

std::vector<std::byte> run(Storage storage, std::span<const std::byte> in, DType as) {
  const size_t count = in.size() / static_cast<size_t>(traits(storage).block_bytes) *
                       static_cast<size_t>(traits(storage).block_elements);
  std::vector<std::byte> out(count * static_cast<size_t>(size_of(as)));
  const Status status = convert(storage, in, as, out);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return out;
}
template <class T>
std::vector<T> as(const std::vector<std::byte>& bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}
// The nearest BF16 to an exact value by trying the neighbours: no arithmetic shared with the code under test.
uint16_t nearest_bf16(double value) {
  const bf16 guess = to_bf16(static_cast<float>(value));
  uint16_t best = guess.bits;
  for (int step = -1; step <= 1; ++step) {
    const uint16_t bits = static_cast<uint16_t>(guess.bits + step);
    const double a = std::abs(static_cast<double>(to_float(bf16{bits})) - value);
    const double b = std::abs(static_cast<double>(to_float(bf16{best})) - value);
    if (a < b || (a == b && (bits & 1) == 0)) best = bits;
  }
  return best;
}

TEST_CASE("all 65,536 halves convert exactly to F32 and round once to BF16") {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  const auto bytes = std::as_bytes(std::span(all));
  const auto f16_to_f32 = as<uint32_t>(run(Storage::f16, bytes, DType::f32));
  const auto f16_to_bf16 = as<uint16_t>(run(Storage::f16, bytes, DType::bf16));
  const auto bf16_to_f32 = as<uint32_t>(run(Storage::bf16, bytes, DType::f32));
  int wrong = 0;
  for (uint32_t i = 0; i < 65536; ++i) {
    const float exact = to_float(f16{static_cast<uint16_t>(i)});
    wrong += f16_to_f32[i] != std::bit_cast<uint32_t>(exact);
    wrong += f16_to_bf16[i] != to_bf16(exact).bits;
    wrong += bf16_to_f32[i] != i << 16;
  }
  CHECK(wrong == 0);
  CHECK(as<uint16_t>(run(Storage::bf16, bytes, DType::bf16)) == all);
  CHECK(as<uint16_t>(run(Storage::f16, bytes, DType::f16)) == all);
}

TEST_CASE("quantised blocks expand with one rounding, whatever their scales are") {
  std::mt19937 random(7);
  for (const Storage storage : {Storage::q8_0, Storage::q4_0, Storage::q4_1}) {
    const size_t block_bytes = static_cast<size_t>(traits(storage).block_bytes);
    std::vector<uint8_t> blocks(block_bytes * 4000);
    for (auto& byte : blocks) byte = static_cast<uint8_t>(random());
    const auto in = std::as_bytes(std::span(blocks));
    const auto bf = as<uint16_t>(run(storage, in, DType::bf16));
    const auto f = as<float>(run(storage, in, DType::f32));
    int wrong = 0;
    for (size_t b = 0; b < 4000; ++b) {
      const uint8_t* block = &blocks[b * block_bytes];
      const double d = to_float(f16{static_cast<uint16_t>(block[0] | block[1] << 8)});
      const double m = storage == Storage::q4_1 ? to_float(f16{static_cast<uint16_t>(block[2] | block[3] << 8)}) : 0;
      for (size_t i = 0; i < 32; ++i) {
        const uint8_t* q = block + (storage == Storage::q4_1 ? 4 : 2);
        const int nibble = i < 16 ? q[i] & 15 : q[i - 16] >> 4;
        const double exact = storage == Storage::q8_0   ? d * static_cast<int8_t>(q[i])
                             : storage == Storage::q4_0 ? d * (nibble - 8)
                                                        : d * nibble + m;
        const float got = to_float(bf16{bf[b * 32 + i]});
        if (std::isnan(exact)) {
          wrong += !std::isnan(got) || !std::isnan(f[b * 32 + i]);
          continue;
        }
        wrong += std::isinf(exact) ? static_cast<double>(got) != exact
                                   : std::abs(exact) != 0 && bf[b * 32 + i] != nearest_bf16(exact);
        wrong += exact == 0 && got != 0;
        wrong += f[b * 32 + i] != static_cast<float>(exact);
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("a Q4_1 value that F32 would round to a tie is rounded once") {
  // 2 * 1 + 2^-24 is just above 2; 1.00390625 * 2^k ties are the case that matters: d * q = 257 (a tie between 256 and
  // 258 in BF16), m = 2^-17 tips it up and vanishes in an F32.
  std::vector<uint8_t> block(20, 0x11);   // q = 1 everywhere
  const uint16_t d = 0x5c04, m = 0x0080;  // 257, 2^-17
  std::memcpy(block.data(), &d, 2);
  std::memcpy(block.data() + 2, &m, 2);
  REQUIRE(to_float(f16{d}) == 257);
  REQUIRE(to_float(f16{m}) == 0x1p-17f);
  REQUIRE(to_float(f16{d}) + to_float(f16{m}) == 257);
  const auto out = as<uint16_t>(run(Storage::q4_1, std::as_bytes(std::span(block)), DType::bf16));
  CHECK(to_float(bf16{out[0]}) == 258);
}

TEST_CASE("what was added is taken off before the rounding") {
  const std::vector<float> in = {1.5f, 1 + 0x1p-20f, 0};
  std::vector<uint16_t> out(3);
  REQUIRE(
      convert(Storage::f32, std::as_bytes(std::span(in)), DType::bf16, std::as_writable_bytes(std::span(out)), 1).ok());
  CHECK(to_float(bf16{out[0]}) == 0.5f);
  CHECK(to_float(bf16{out[1]}) == 0x1p-20f);
  CHECK(to_float(bf16{out[2]}) == -1);
}

TEST_CASE("conversions that make no sense are refused") {
  std::vector<std::byte> in(34), out(64);
  CHECK_FALSE(convert(Storage::i32, std::span(in).first(32), DType::f32, std::span(out).first(32)).ok());
  CHECK_FALSE(convert(Storage::f32, std::span(in).first(32), DType::f16, std::span(out).first(16)).ok());
  CHECK_FALSE(convert(Storage::q8_0, std::span(in).first(33), DType::bf16, out).ok());
  CHECK_FALSE(convert(Storage::q8_0, in, DType::f32, out).ok());
}

}  // namespace
