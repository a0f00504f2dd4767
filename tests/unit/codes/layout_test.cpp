#include <algorithm>
#include <cmath>
#include <map>

#include "tests/unit/codes/numbers.hpp"

namespace tare::linear::test {
namespace {

const Layout& w12() {
  static const auto layout = make_w12_layout();
  return *layout;
}
const Layout& w11() {
  static const auto layout = make_w11_layout();
  return *layout;
}
const Layout* const kBoth[] = {&w12(), &w11()};

// All rows at once, one by one, and in odd pieces.
void check_round_trip(const Layout& layout, const WeightInfo& info, const Numbers& numbers, const LaidOut& laid) {
  const int64_t rows = info.outputs(), inputs = info.inputs();
  for (const int64_t piece : {std::max<int64_t>(rows, 1), int64_t{1}, int64_t{7}, int64_t{64}}) {
    Numbers back(numbers.size() + 8, 0x5a5a);
    for (int64_t begin = 0; begin < rows; begin += piece)
      REQUIRE(
          layout.decode(info, begin, std::min(rows, begin + piece), laid.data(), back.data() + begin * inputs).ok());
    for (size_t i = numbers.size(); i < back.size(); ++i) REQUIRE(back[i] == 0x5a5a);
    back.resize(numbers.size());
    CAPTURE(piece);
    REQUIRE(back == numbers);
  }
}

TEST_CASE("every one of the 65,536 BF16 values survives, among numbers that keep the code worthwhile") {
  for (const Layout* layout : kBoth) {
    CAPTURE(layout->id());
    const WeightInfo info = matrix(4096, 2048);
    Numbers numbers = trained_like(4096, 2048);
    for (size_t v = 0; v < 65536; ++v) numbers[v * 127 % numbers.size()] = static_cast<uint16_t>(v);
    const LaidOut laid = lay_out(*layout, info, numbers, 512);
    CHECK(laid.coding() == (layout == &w12() ? Coding::split : Coding::triples));
    Numbers back(numbers.size());
    REQUIRE(layout->decode(info, 0, 4096, laid.data(), back.data()).ok());
    CHECK(back == numbers);
    for (const int64_t row : {0, 1, 63, 64, 4095}) {
      Numbers one(2048);
      REQUIRE(layout->decode(info, row, row + 1, laid.data(), one.data()).ok());
      CHECK(std::equal(one.begin(), one.end(), numbers.begin() + row * 2048));
    }
  }
}

TEST_CASE("all values alone: the code falls back by itself, and they survive") {
  for (const Layout* layout : kBoth) {
    const WeightInfo info = matrix(256, 256);
    Numbers numbers(65536);
    for (size_t v = 0; v < numbers.size(); ++v) numbers[v] = static_cast<uint16_t>(v);
    const LaidOut laid = lay_out(*layout, info, numbers);
    CHECK(laid.coding() == Coding::plain);
    CHECK_FALSE(laid.plan->pays());
    CHECK(laid.plan->note().starts_with("dense, 16.02 bits a weight"));
    CHECK(laid.plan->note().find(
              "w12 does not pay: 93.75 % of the numbers lie outside its 16 exponents, at most 1.50 %") !=
          std::string::npos);
    check_round_trip(*layout, info, numbers, laid);
  }
}

TEST_CASE("adversarial matrices and ragged shapes, bit for bit, in any pieces") {
  struct Content {
    const char* name;
    uint16_t (*at)(size_t i);
  };
  const Content contents[] = {
      {"zeros", [](size_t) { return uint16_t{0}; }},
      {"minus zeros", [](size_t) { return uint16_t{0x8000}; }},
      {"all equal", [](size_t) { return uint16_t{0x3c21}; }},
      {"NaNs with payloads", [](size_t i) { return static_cast<uint16_t>(0x7f81 + i % 126 + (i % 3 << 15)); }},
      {"infinities", [](size_t i) { return static_cast<uint16_t>(i % 2 != 0 ? 0x7f80 : 0xff80); }},
      {"subnormals", [](size_t i) { return static_cast<uint16_t>(i % 127 + 1 + (i % 2 << 15)); }},
      {"alternating far apart", [](size_t i) { return static_cast<uint16_t>(i % 2 != 0 ? 0x0123 : 0x7e45); }},
      {"one escape in 64", [](size_t i) { return static_cast<uint16_t>(i % 64 == 63 ? 0x0001 : 0x3c80 + i % 256); }},
      {"a run of escapes", [](size_t i) { return static_cast<uint16_t>(i < 60 ? 0x7f80 + i : 0x3c00 + i % 512); }},
  };
  for (const Layout* layout : kBoth)
    for (const Content& content : contents)
      for (const auto& [n, k] : std::initializer_list<std::pair<int64_t, int64_t>>{
               {1, 1}, {64, 32}, {63, 31}, {65, 33}, {100, 100}, {130, 7}, {16, 40}, {200, 512}, {0, 5}, {3, 0}}) {
        CAPTURE(layout->id());
        CAPTURE(content.name);
        CAPTURE(n);
        CAPTURE(k);
        const WeightInfo info = matrix(n, k);
        Numbers numbers(static_cast<size_t>(n * k));
        for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = content.at(i);
        const LaidOut laid = lay_out(*layout, info, numbers, 64);
        check_round_trip(*layout, info, numbers, laid);
        const LaidOut at_once = lay_out(*layout, info, numbers);
        REQUIRE(at_once.plan->bytes() == laid.plan->bytes());
        CHECK(std::equal(laid.data(), laid.data() + laid.plan->bytes(), at_once.data()));
        if (n * k > 50000 && std::string_view(content.name) == "all equal")
          CHECK(laid.coding() == (layout == &w12() ? Coding::split : Coding::triples));
      }
}

TEST_CASE("random trained-like matrices of random shapes") {
  std::mt19937 random(5);
  for (int turn = 0; turn < 12; ++turn) {
    const int64_t n = 1 + static_cast<int64_t>(random() % 300), k = 1 + static_cast<int64_t>(random() % 700);
    const WeightInfo info = matrix(n, k);
    Numbers numbers = trained_like(n, k, random(), turn % 3 * 0.4);
    for (int wild = 0; wild < turn; ++wild) numbers[random() % numbers.size()] = static_cast<uint16_t>(random());
    for (const Layout* layout : kBoth) {
      CAPTURE(n);
      CAPTURE(k);
      check_round_trip(*layout, info, numbers, lay_out(*layout, info, numbers, 64));
    }
  }
}

TEST_CASE("bits a weight on numbers as trained models have them") {
  const WeightInfo info = matrix(4096, 4096);
  const Numbers numbers = trained_like(4096, 4096);
  std::map<int, int64_t> counts;
  for (const uint16_t v : numbers) ++counts[v >> 7 & 255];
  double entropy = 0;
  for (const auto& [exponent, count] : counts) {
    const double share = static_cast<double>(count) / static_cast<double>(numbers.size());
    entropy -= share * std::log2(share);
  }
  CHECK(entropy > 2.6);
  CHECK(entropy < 2.72);
  for (const auto& [layout, limit] : {std::pair(&w12(), 12.1), std::pair(&w11(), 11.45)}) {
    const LaidOut laid = lay_out(*layout, info, numbers, 1024);
    CAPTURE(laid.plan->note());
    CHECK(bits_a_weight(laid, info) <= limit);
    // What is planned with before a number is read is near, and not below.
    CHECK(layout->expected_bytes(info) >= laid.plan->bytes());
    CHECK(static_cast<double>(layout->expected_bytes(info)) <= 1.02 * static_cast<double>(laid.plan->bytes()));
    MESSAGE(layout->id(), ": ", laid.plan->note(), ", entropy ", entropy);
  }
}

TEST_CASE("outlier matrices fall back a code at a time") {
  const WeightInfo info = matrix(256, 1024);
  Numbers numbers = trained_like(256, 1024);
  // 30 % in six exponents beside the common ones: too many for 7 exponents, few enough for 16.
  for (size_t i = 0; i < numbers.size(); i += 3) {
    const auto exponent = static_cast<uint16_t>(110 + i / 3 % 14);
    numbers[i] = static_cast<uint16_t>((numbers[i] & 0x807f) | exponent << 7);
  }
  const LaidOut a = lay_out(w11(), info, numbers);
  CHECK(a.coding() == Coding::split);
  CHECK(a.plan->pays());
  CHECK(a.plan->note().find("w11 does not pay: ") != std::string::npos);
  check_round_trip(w11(), info, numbers, a);
  for (size_t i = 0; i < numbers.size(); i += 40)
    numbers[i] = static_cast<uint16_t>(0x4280 + i % 200);  // 2.5 % far away
  for (const Layout* layout : kBoth) {
    const LaidOut b = lay_out(*layout, info, numbers);
    CHECK(b.coding() == Coding::plain);
    check_round_trip(*layout, info, numbers, b);
  }
}

TEST_CASE("without a survey numbers lie plain, inside bytes()") {
  for (const Layout* layout : kBoth) {
    const WeightInfo info = matrix(100, 70);
    const Numbers numbers = trained_like(100, 70);
    std::vector<std::byte> laid(static_cast<size_t>(layout->bytes(info)) + 16, std::byte{0xa5});
    REQUIRE(layout->encode(info, 64, 100, numbers.data() + 64 * 70, laid.data()).ok());
    REQUIRE(layout->encode(info, 0, 64, numbers.data(), laid.data()).ok());
    for (size_t i = laid.size() - 16; i < laid.size(); ++i) CHECK(laid[i] == std::byte{0xa5});
    Numbers back(numbers.size());
    REQUIRE(layout->decode(info, 0, 100, laid.data(), back.data()).ok());
    CHECK(back == numbers);
  }
}

TEST_CASE("every refusal has its sentence") {
  const WeightInfo info = matrix(100, 32);
  const Numbers numbers = trained_like(100, 32), others(3200, 0x0101);
  CHECK(w12().supports({"w", DType::f32, {4, 4}, 1}).reason == "holds bf16, not f32");
  CHECK(w11().supports(matrix(1, 1 << 18)).reason == "holds rows of up to 262112 numbers, not 262144");
  CHECK(w12().survey({"w", DType::f16, {4, 4}, 1}).status().message() == "w12/cpu-tiles: w: holds bf16, not f16");
  LaidOut laid = lay_out(w12(), info, numbers);
  std::vector<std::byte> out(laid.bytes.size() + 100000);
  CHECK(laid.plan->encode(0, 101, numbers.data(), out.data()).message() ==
        "w12/cpu-tiles: rows 0 to 101 of w which has 100");
  CHECK(laid.plan->encode(10, 64, numbers.data(), out.data()).message() ==
        "w12/cpu-tiles: rows 10 to 64 of w, expected multiples of 64");
  if (laid.plan->pays()) {
    const Status changed = laid.plan->encode(0, 64, others.data(), out.data());
    CHECK(changed.message().find("are not those that were surveyed") != std::string::npos);
  }
  std::vector<std::byte> zeros(laid.bytes.size());
  CHECK(w12().decode(info, 0, 1, zeros.data(), out.data()).message() == "w12/cpu-tiles: w has no header of version 1");
  CHECK(w12().decode(matrix(101, 32), 0, 1, laid.data(), out.data()).message() ==
        "w12/cpu-tiles: the header is of [100, 32], expected [101, 32] of w");
  CHECK_FALSE(w12().decode(info, -1, 1, laid.data(), out.data()).ok());
}

}  // namespace
}  // namespace tare::linear::test
