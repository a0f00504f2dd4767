// What check() says of laid-out bytes that somebody else wrote: each thing that kernels trust, one at a time.
#include "plugins/linear/cpu_layouts.hpp"
#include "tests/unit/codes/numbers.hpp"

namespace tare::linear::test {
namespace {

struct Case {
  std::unique_ptr<Layout> layout;
  WeightInfo info;
  LaidOut laid;

  std::vector<std::byte> good() const { return {laid.data(), laid.data() + laid.plan->bytes()}; }
  CodedHeader header() const {
    CodedHeader h;
    std::memcpy(&h, laid.data(), sizeof h);
    return h;
  }
  std::string said(const std::vector<std::byte>& bytes) const { return layout->check(info, bytes).reason; }
  // After `value` was put there.
  template <class T>
  std::string said_with(int64_t at, T value) const {
    auto bytes = good();
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return said(bytes);
  }
  template <class T>
  T at(int64_t place) const {
    T value;
    std::memcpy(&value, laid.data() + place, sizeof value);
    return value;
  }
};

Case coded(std::unique_ptr<Layout> layout, int64_t outputs, int64_t inputs) {
  Case out{std::move(layout), matrix(outputs, inputs), {}};
  Numbers numbers = trained_like(outputs, inputs);
  for (size_t i = 0; i < numbers.size(); i += 301) numbers[i] = 0;  // escapes of both codes
  out.laid = lay_out(*out.layout, out.info, numbers);
  return out;
}
bool has(const std::string& sentence, std::string_view part) { return sentence.find(part) != std::string::npos; }

TEST_CASE("what encode() wrote passes, whatever the shape and the code that was taken") {
  for (const auto make : {make_w12_layout, make_w11_layout})
    for (const auto& [n, k] :
         std::initializer_list<std::pair<int64_t, int64_t>>{{64, 32}, {200, 512}, {65, 33}, {1, 1}, {3, 0}}) {
      const Case c = coded(make(), n, k);
      CAPTURE(n);
      CAPTURE(k);
      CAPTURE(c.layout->id());
      CHECK(c.said(c.good()) == "");
    }
  const Case c = coded(make_w11_layout(), 200, 512);
  REQUIRE(c.laid.coding() == Coding::triples);
  CHECK(has(Case{make_w12_layout(), c.info, {}}.said(c.good()), "its header names code 2, expected at most 1"));
}

TEST_CASE("sizes and headers that lie") {
  const Case c = coded(make_w12_layout(), 200, 512);
  REQUIRE(c.laid.coding() == Coding::split);
  CHECK(has(c.said({}), "it has 0 bytes, its header takes 128"));
  auto cut = c.good();
  cut.resize(cut.size() - 64);
  CHECK(has(c.said(cut), "its header is not that of [200, 512]"));
  cut.resize(200);
  CHECK(has(c.said(cut), "its index ends at "));
  CHECK(has(c.said_with<uint32_t>(8, 2), "its header is not that of"));                 // version
  CHECK(has(c.said_with<uint32_t>(12, 7), "its header names code 7"));                  //
  CHECK(has(c.said_with<int64_t>(16, 264), "its header is not that of"));               // outputs
  CHECK(has(c.said_with<int64_t>(24, int64_t{1} << 60), "its header is not that of"));  // inputs
  CHECK(has(c.said_with<int64_t>(32, 1), "its header is not that of"));                 // escapes
  CHECK(has(c.said_with<int64_t>(48, 1 << 20), "its header is not that of"));           // where they begin
  CHECK(has(c.said_with<uint8_t>(70, 1), "its table is none of this code"));
  CHECK(has(c.said_with<uint8_t>(100, 1), "its header is not that of"));
  auto loud = c.good();
  loud.back() = std::byte{1};
  CHECK(has(c.said(loud), "it does not end with zeros"));
}

TEST_CASE("escapes of the split byte") {
  const Case c = coded(make_w12_layout(), 200, 512);
  const CodedHeader h = c.header();
  CHECK(has(c.said_with<int64_t>(h.index_at + 8, -4), "its index of escapes does not rise"));
  CHECK(has(c.said_with<int64_t>(h.index_at + 32, int64_t{1} << 62), "its index of escapes does not rise"));
  const int64_t second = c.at<int64_t>(h.index_at + 8);
  CHECK(has(c.said_with<uint32_t>(h.escapes_at + second - 4, 0), "the escapes of strip 0 do not end"));
  CHECK(has(c.said_with<uint32_t>(h.escapes_at + 4, c.at<uint32_t>(h.escapes_at)), "strip 0 are out of order"));
  CHECK(has(c.said_with<uint32_t>(h.escapes_at + second - 8, 0xfffffe00u), "strip 0 are out of order"));
}

TEST_CASE("escapes of the triples") {
  const Case c = coded(make_w11_layout(), 200, 512);
  REQUIRE(c.laid.coding() == Coding::triples);
  const int64_t codes = kCodedHeaderBytes + triples_codes_at(0, 0);
  auto zeros = c.good();
  std::fill_n(zeros.begin() + codes, 24, std::byte{0});
  CHECK(has(c.said(zeros), "strip 0 has "));
  auto ones = c.good();
  std::fill_n(ones.begin() + codes, 24, std::byte{0xff});
  CHECK(has(c.said(ones), "escapes, its codes want others"));
}

TEST_CASE("padding may not be infinite, plain padding is zero") {
  const Case c = coded(make_w11_layout(), 40, 96);  // 24 outputs of padding
  REQUIRE(c.laid.coding() == Coding::triples);
  auto bytes = c.good();
  std::fill_n(bytes.begin() + 64 + 1, 7, std::byte{255});
  CHECK(has(c.said(bytes), "its padding is not finite"));
  const auto tiles = make_cpu_tiles_layout();
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const WeightInfo info{"w", dtype, {70, 37}, 1};
    const std::vector<std::byte> plain(static_cast<size_t>(70 * 37 * size_of(dtype)), std::byte{0x3f});
    std::vector<std::byte> laid(static_cast<size_t>(tiles->bytes(info)));
    REQUIRE(tiles->encode(info, 0, 70, plain.data(), laid.data()).ok());
    CHECK(tiles->check(info, laid));
    size_t padding = 0;
    for (size_t i = 0; i < laid.size(); ++i) {
      if (laid[i] != std::byte{0}) continue;
      ++padding;
      laid[i] = std::byte{1};
      CHECK(tiles->check(info, laid).reason == "its padding is not zero");
      laid[i] = std::byte{0};
    }
    CHECK(padding == laid.size() - plain.size());
    laid.pop_back();
    CHECK(has(tiles->check(info, laid).reason, "bytes, expected "));
  }
}

}  // namespace
}  // namespace tare::linear::test
