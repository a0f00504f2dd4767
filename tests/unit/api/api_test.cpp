// What plugin authors lean on: results, conversions, matchers, attributes.
#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare {
namespace {

TEST_CASE("bf16 rounds to nearest even and keeps every value") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const bf16 value{static_cast<uint16_t>(bits)};
    const float wide = to_float(value);
    if (wide == wide)
      CHECK(to_bf16(wide) == value);
    else
      CHECK((to_bf16(wide).bits & 0x7f80) == 0x7f80);
  }
  CHECK(to_float(to_bf16(1.00390625f)) == 1.0f);       // half way: to even, down
  CHECK(to_float(to_bf16(1.01171875f)) == 1.015625f);  // half way: to even, up
  CHECK(rounded(1.001f, DType::f32) == 1.001f);
}

TEST_CASE("f16 widens exactly") {
  CHECK(to_float(f16{0x3c00}) == 1.0f);
  CHECK(to_float(f16{0x0001}) == 0x1p-24f);
  CHECK(to_float(f16{0x8001}) == -0x1p-24f);
  CHECK(to_float(f16{0x7bff}) == 65504.0f);
  CHECK(to_float(f16{0xfc00}) < -1e38f);
  CHECK(to_float(f16{0x7e00}) != to_float(f16{0x7e00}));
}

TEST_CASE("a matcher binds sizes to names and says what disagrees") {
  float data[64] = {};
  const auto q = packed_view(data, DType::f32, {2, 4, 8}), k = packed_view(data, DType::f32, {2, 2, 8});
  Match good;
  good.view("q", q, {"tokens", "heads", "d"}).view("k", k, {"tokens", "kv_heads", "d"});
  CHECK(good.status().ok());
  CHECK(good.size("kv_heads") == 2);
  Match bad;
  bad.view("q", q, {"tokens", "heads", "d"})
      .view("k", packed_view(data, DType::f32, {3, 2, 8}), {"tokens", "kv_heads", "d"});
  CHECK(bad.status().message() == "k has tokens = 3, expected 2");
  Match rank;
  rank.view("q", q, {"rows", "width"});
  CHECK(rank.status().message().find("3 dimensions") != std::string::npos);
  Match type;
  type.dtype("q", q, {DType::bf16, DType::i32});
  CHECK(type.status().message() == "q is f32, expected bf16 or i32");
}

TEST_CASE("attributes are a struct in printable form, there and back") {
  const Norm norm{Norm::Kind::layer, 1e-5f, 1};
  const Attributes attributes = to_attributes(norm);
  CHECK(to_string(attributes) == "{kind = layer, eps = 1e-05, offset = 1.0}");
  const auto back = from_attributes<Norm>(attributes);
  REQUIRE(back.ok());
  CHECK(back->kind == Norm::Kind::layer);
  CHECK(back->eps == norm.eps);
  CHECK(from_attributes<Norm>(Attributes{{"epsilon", 1.0f}}).status().message() == "attribute 'epsilon' is unknown");
  CHECK(from_attributes<Norm>(Attributes{{"kind", Symbol{"batch"}}}).status().message() ==
        "attribute 'kind': found batch, expected one of rms, layer");
  CHECK_FALSE(from_attributes<Rotary>(Attributes{{"width", true}}).ok());
  for (float value : {0.1f, 1e-30f, 3.0f, -0.0f, 16777216.0f}) {
    float parsed = 0;
    REQUIRE(std::sscanf(to_string(value).c_str(), "%f", &parsed) == 1);
    CHECK(std::bit_cast<uint32_t>(parsed) == std::bit_cast<uint32_t>(value));
  }
}

TEST_CASE("a result is a value or a reason") {
  const auto half = [](int x) -> Result<int> {
    if (x % 2 != 0) return invalid(x, " is odd");
    return x / 2;
  };
  const auto quarter = [&](int x) -> Result<int> {
    TARE_ASSIGN_OR_RETURN(const int h, half(x));
    return half(h);
  };
  CHECK(*quarter(8) == 2);
  CHECK(quarter(6).status().message() == "3 is odd");
  CHECK(Status(Code::corrupt, "x").in("file").message() == "file: x");
  CHECK(Result<int>(Status()).status().code() == Code::internal);
}

TEST_CASE("a config gathers its mistakes with the model's line") {
  const Config config(
      {{"hidden_size", 64.0}, {"name", std::string("x")}, {"layers", 2.5}, {"list.0", 1.0}, {"list.1", 2.0}});
  CHECK(config.count("hidden_size") == 64);
  CHECK(config.count("absent") == 1);
  CHECK(config.count("layers") == 1);
  CHECK(config.get("name", 3) == 3);
  CHECK(config.numbers("list") == std::vector<double>{1, 2});
  REQUIRE(config.problems().size() == 3);
  CHECK(config.problems()[0].find("api_test.cpp:") != std::string::npos);
  CHECK(config.problems()[0].find("'absent' is missing") != std::string::npos);
}

}  // namespace
}  // namespace tare
