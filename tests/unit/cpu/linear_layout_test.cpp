#include <algorithm>
#include <cstring>

#include "tests/unit/cpu/linear_case.hpp"

namespace tare::linear {
namespace {

WeightInfo matrix(DType dtype, int64_t outputs, int64_t inputs) { return {"w", dtype, {outputs, inputs}, 1}; }

std::vector<std::byte> counting(const WeightInfo& info) {
  std::vector<std::byte> plain(static_cast<size_t>(info.outputs() * info.inputs() * size_of(info.dtype)));
  if (info.dtype == DType::bf16) {
    for (size_t i = 0; i * 2 < plain.size(); ++i) {
      const auto v = static_cast<uint16_t>(i);
      std::memcpy(plain.data() + 2 * i, &v, 2);
    }
  } else {
    for (size_t i = 0; i * 4 < plain.size(); ++i) {
      const auto v = static_cast<uint32_t>(i * 2654435761u);
      std::memcpy(plain.data() + 4 * i, &v, 4);
    }
  }
  return plain;
}

const Layout& tiles() {
  static const auto layout = make_cpu_tiles_layout();
  return *layout;
}
const Layout& rows() {
  static const auto layout = make_rows_layout();
  return *layout;
}

TEST_CASE("every BF16 value and every shape survive both layouts, bit for bit") {
  for (const Layout* layout : {&rows(), &tiles()})
    for (const DType dtype : {DType::bf16, DType::f32})
      for (const auto& [n, k] : std::initializer_list<std::pair<int64_t, int64_t>>{
               {256, 256}, {1, 1}, {63, 31}, {64, 32}, {65, 33}, {100, 100}, {16, 40}, {130, 7}, {0, 5}, {3, 0}}) {
        CAPTURE(layout->id());
        CAPTURE(n);
        CAPTURE(k);
        const WeightInfo info = matrix(dtype, n, k);
        const auto plain = counting(info);  // 256 x 256 BF16: all 65,536 values
        std::vector<std::byte> laid(static_cast<size_t>(layout->bytes(info)) + 16, std::byte{0xa5});
        REQUIRE(layout->encode(info, 0, n, plain.data(), laid.data()).ok());
        for (size_t i = laid.size() - 16; i < laid.size(); ++i) CHECK(laid[i] == std::byte{0xa5});  // bytes() holds
        std::vector<std::byte> back(plain.size(), std::byte{1});
        REQUIRE(layout->decode(info, 0, n, laid.data(), back.data()).ok());
        CHECK(back == plain);
      }
}

TEST_CASE("pieces by row granule give the bytes of the whole, in any order") {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const WeightInfo info = matrix(dtype, 200, 72);
    const auto plain = counting(info);
    const auto bytes = static_cast<size_t>(tiles().bytes(info));
    const int64_t row_bytes = 72 * size_of(dtype), granule = tiles().row_granule();
    std::vector<std::byte> whole(bytes, std::byte{1}), pieces(bytes, std::byte{2});
    REQUIRE(tiles().encode(info, 0, 200, plain.data(), whole.data()).ok());
    for (const int64_t begin : {2 * granule, int64_t{0}, 3 * granule, granule})
      REQUIRE(tiles()
                  .encode(info, begin, std::min<int64_t>(200, begin + granule), plain.data() + begin * row_bytes,
                          pieces.data())
                  .ok());
    CHECK(whole == pieces);
  }
}

TEST_CASE("any range of rows decodes alone") {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const WeightInfo info = matrix(dtype, 150, 50);
    const auto plain = counting(info);
    const int64_t row_bytes = 50 * size_of(dtype);
    std::vector<std::byte> laid(static_cast<size_t>(tiles().bytes(info)));
    REQUIRE(tiles().encode(info, 0, 150, plain.data(), laid.data()).ok());
    for (const auto& [begin, end] : std::initializer_list<std::pair<int64_t, int64_t>>{
             {0, 1}, {149, 150}, {15, 17}, {16, 32}, {3, 80}, {60, 150}, {7, 7}}) {
      std::vector<std::byte> out(static_cast<size_t>((end - begin) * row_bytes));
      REQUIRE(tiles().decode(info, begin, end, laid.data(), out.data()).ok());
      CHECK(std::equal(out.begin(), out.end(), plain.begin() + begin * row_bytes));
    }
  }
}

TEST_CASE("padding is zero, so that a kernel may multiply it") {
  const WeightInfo info = matrix(DType::bf16, 65, 33);
  const auto plain = std::vector<std::byte>(65 * 33 * 2, std::byte{0xff});
  std::vector<std::byte> laid(static_cast<size_t>(tiles().bytes(info)), std::byte{0x55});
  REQUIRE(tiles().encode(info, 0, 65, plain.data(), laid.data()).ok());
  int64_t ones = 0;
  for (const std::byte b : laid) {
    CHECK((b == std::byte{0xff} || b == std::byte{0}));
    ones += b == std::byte{0xff};
  }
  CHECK(ones == 65 * 33 * 2);
}

TEST_CASE("the order is the documented one") {
  const WeightInfo info = matrix(DType::bf16, 128, 64);
  const auto plain = counting(info);
  std::vector<std::byte> laid(static_cast<size_t>(tiles().bytes(info)));
  REQUIRE(tiles().encode(info, 0, 128, plain.data(), laid.data()).ok());
  const auto at = [&](int64_t n, int64_t k) {
    const int64_t i = ((((n / 64 * 2 + k / 32) * 4 + n % 64 / 16) * 16 + k % 32 / 2) * 16 + n % 16) * 2 + k % 2;
    uint16_t v;
    std::memcpy(&v, laid.data() + i * 2, 2);
    return v;
  };
  for (int64_t n = 0; n < 128; ++n)
    for (int64_t k = 0; k < 64; ++k) REQUIRE(at(n, k) == static_cast<uint16_t>(n * 64 + k));
}

TEST_CASE("bad ranges and types are refused") {
  const WeightInfo info = matrix(DType::bf16, 100, 32);
  std::vector<std::byte> laid(static_cast<size_t>(tiles().bytes(info)));
  CHECK_FALSE(tiles().encode(info, 0, 101, laid.data(), laid.data()).ok());
  CHECK_FALSE(tiles().encode(info, 10, 64, laid.data(), laid.data()).ok());
  CHECK_FALSE(tiles().encode(info, 64, 70, laid.data(), laid.data()).ok());
  CHECK_FALSE(tiles().decode(info, -1, 5, laid.data(), laid.data()).ok());
  CHECK(tiles().supports(matrix(DType::i32, 1, 1)).reason == "holds bf16 and f32, not i32");
}

}  // namespace
}  // namespace tare::linear
