#include "plugins/norm/norm.hpp"

#include "tests/unit/small_ops/case.hpp"

namespace tare::norm {
namespace {
using namespace small_ops;

struct Variant {
  Norm op{};
  bool weight = true, bias = false;
  int64_t groups = 1;  // heads that are normalised each by itself
};
const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {{},
                                           {.op = {.offset = 1}},
                                           {.weight = false},
                                           {.op = {.kind = Norm::Kind::layer, .eps = 1e-5f}, .bias = true},
                                           {.op = {.kind = Norm::Kind::layer, .eps = 1e-5f}},
                                           {.groups = 3}};
  return all;
}
struct Setup {
  Setup(const Variant& v, DType dtype, DType weights, int64_t rows, int64_t width)
      : scale(weights, 0, width), bias(weights, 0, width) {
    c.op = "norm/1", c.attributes = to_attributes(v.op);
    sizes = v.groups == 1 ? std::vector<int64_t>{width} : std::vector<int64_t>{v.groups, width};
    c.inputs.push_back(RowsOf(dtype, rows, sizes).fill(3, 2));
    c.weights = {v.weight ? &scale : nullptr, v.bias ? &bias : nullptr};
  }
  PlainWeight scale, bias;
  Case c;
  std::vector<int64_t> sizes;
};

TEST_CASE("fast norms are close to the oracle, with the same bits on every instruction set") {
  auto device = open_cpu(2);
  const auto all = candidates();
  for (size_t i = 0; i < variants().size(); ++i)
    for (const DType dtype : {DType::bf16, DType::f32})
      for (const int64_t width : widths()) {
        CAPTURE(i);
        CAPTURE(width);
        Setup s(variants()[i], dtype, DType::bf16, 4, width);
        RowsOf want = s.c.run(*device, *all[1], RowsOf(dtype, 4, s.sizes));
        std::vector<std::byte> first;
        for (const auto& features : feature_lists(*device)) {
          s.c.features = features;
          RowsOf got = s.c.run(*device, *all[0], RowsOf(dtype, 4, s.sizes));
          for (int64_t r = 0; r < 4; ++r) {
            const auto a = got.values(r), b = want.values(r);
            for (size_t k = 0; k < a.size(); ++k)
              CHECK(std::abs(a[k] - b[k]) <= (dtype == DType::f32 ? 2e-6f : 8e-3f) * (std::abs(b[k]) + 1));
          }
          if (first.empty()) first = got.bytes();
          CHECK(got.bytes() == first);
        }
      }
}

TEST_CASE("a row's norm is that of the row alone, whatever the number of threads") {
  auto one = open_cpu(1), five = open_cpu(5);
  const auto all = candidates();
  for (size_t i = 0; i < variants().size(); ++i)
    for (const DType dtype : {DType::bf16, DType::f32}) {
      CAPTURE(i);
      Setup s(variants()[i], dtype, DType::f32, 150, 2000);
      const RowsOf want = s.c.run(*one, *all[0], RowsOf(dtype, 150, s.sizes));
      CHECK(s.c.run(*five, *all[0], RowsOf(dtype, 150, s.sizes)).bytes() == want.bytes());
      for (const int64_t r : {0, 77, 149}) {
        Case alone = s.c;
        alone.inputs = {s.c.inputs[0].row_alone(r)};
        CHECK(alone.run(*five, *all[0], RowsOf(dtype, 1, s.sizes)).row_bytes(0) == want.row_bytes(r));
      }
    }
}

TEST_CASE("NaN and infinity stay in the row, and in the group, that has them") {
  auto device = open_cpu(2);
  const auto all = candidates();
  for (const DType dtype : {DType::bf16, DType::f32}) {
    Setup s({.groups = 3}, dtype, DType::bf16, 3, 10);
    s.c.inputs[0].set(1, 12, std::numeric_limits<float>::quiet_NaN());
    s.c.inputs[0].set(2, 3, std::numeric_limits<float>::infinity());
    RowsOf got = s.c.run(*device, *all[0], RowsOf(dtype, 3, s.sizes));
    RowsOf want = s.c.run(*device, *all[1], RowsOf(dtype, 3, s.sizes));
    for (int64_t r = 0; r < 3; ++r)
      for (size_t i = 0; i < 30; ++i) {
        CHECK(std::isnan(got.values(r)[i]) == std::isnan(want.values(r)[i]));
        CHECK(std::isnan(got.values(r)[i]) == ((r == 1 && i / 10 == 1) || (r == 2 && i == 3)));
      }
  }
}

TEST_CASE("an instance reads its weights once, and mixes types") {
  auto device = open_cpu(2);
  const auto all = candidates();
  Setup s({.bias = true}, DType::f32, DType::bf16, 4, 100);
  RowsOf out(DType::bf16, 4, {100});
  auto instance = s.c.instance(*device, *all[0], out);
  for (int i = 0; i < 5; ++i) REQUIRE(s.c.launch(*device, *instance, out).ok());
  CHECK(s.scale.decodes == 1);
  CHECK(s.bias.decodes == 1);
  CHECK(most_ulps(out, s.c.run(*device, *all[1], RowsOf(DType::bf16, 4, {100}))) <= 1);
}

TEST_CASE("weights that do not fit the rows are an error, not a crash") {
  auto device = open_cpu(1);
  const auto all = candidates();
  Setup s({}, DType::f32, DType::bf16, 1, 100);
  s.c.inputs = {RowsOf(DType::f32, 1, {90}).fill(1)};
  RowsOf out(DType::f32, 1, {90});
  auto instance = s.c.instance(*device, *all[0], out);
  CHECK(s.c.launch(*device, *instance, out).message() == "norm: rows of 90 elements, weights of 100");
  s.c.inputs = {RowsOf(DType::i32, 1, {100})};
  CHECK(all[0]->supports(s.c.problem(*device, out)).reason == "a tensor is i32, expected bf16 or f32");
}

}  // namespace
}  // namespace tare::norm
