#include "plugins/rotary/rotary.hpp"

#include "plugins/rotary/tables.hpp"
#include "tests/unit/small_ops/case.hpp"

namespace tare::rotary {
namespace {
using namespace small_ops;

struct Variant {
  int64_t heads, width, first, pairs;
  Rotary::Pairs kind = Rotary::Pairs::halves;
  float magnitude = 1;
};
const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {{1, 2, 0, 1},
                                           {9, 64, 0, 32},
                                           {3, 80, 0, 40, Rotary::Pairs::halves, 1.25f},
                                           {2, 100, 10, 7},
                                           {1, 2048, 0, 1024},
                                           {4, 7, 1, 3, Rotary::Pairs::neighbours},
                                           {9, 64, 0, 32, Rotary::Pairs::neighbours},
                                           {2, 576, 512, 32, Rotary::Pairs::neighbours, 0.5f},
                                           {3, 100, 2, 37, Rotary::Pairs::neighbours}};
  return all;
}
struct Setup {
  Setup(const Variant& v, DType dtype, int64_t rows) : sizes{v.heads, v.width} {
    std::vector<float> frequencies;
    for (int64_t j = 0; j < v.pairs; ++j)
      frequencies.push_back(std::pow(10000.0f, -static_cast<float>(j) / static_cast<float>(v.pairs)));
    c.op = "rotary/1";
    c.attributes = to_attributes(
        Rotary{.pairs = v.kind, .first = v.first, .width = 2 * v.pairs, .frequencies = {0}, .magnitude = v.magnitude});
    c.constants = {frequencies};
    c.inputs.push_back(RowsOf(dtype, rows, sizes).fill(4));
    for (int64_t t = 0; t < rows; ++t) positions.push_back(static_cast<int32_t>(t * 997 % 131072));
    c.step.positions = positions.data(), c.step.num_tokens = rows;
  }
  Case c;
  std::vector<int64_t> sizes;
  std::vector<int32_t> positions;
};

TEST_CASE("the fast rotary gives the oracle's bits on every instruction set, gaps and unturned values as they were") {
  auto device = open_cpu(2);
  const auto all = candidates();
  for (size_t i = 0; i < variants().size(); ++i)
    for (const DType dtype : {DType::bf16, DType::f32}) {
      CAPTURE(i);
      Setup s(variants()[i], dtype, 6);
      RowsOf want = s.c.run(*device, *all[1], RowsOf(dtype, 6, s.sizes));
      for (const auto& features : feature_lists(*device)) {
        s.c.features = features;
        CHECK(s.c.run(*device, *all[0], RowsOf(dtype, 6, s.sizes)).bytes() == want.bytes());
      }
      if (variants()[i].first > 0) CHECK(want.values(5)[0] == s.c.inputs[0].values(5)[0]);
    }
}

TEST_CASE("a token turns as it does alone, in place too, whatever the number of threads") {
  auto one = open_cpu(1), five = open_cpu(5);
  const auto all = candidates();
  for (size_t i = 0; i < variants().size(); ++i)
    for (const DType dtype : {DType::bf16, DType::f32}) {
      CAPTURE(i);
      Setup s(variants()[i], dtype, 200);
      const RowsOf want = s.c.run(*one, *all[0], RowsOf(dtype, 200, s.sizes));
      CHECK(s.c.run(*five, *all[0], RowsOf(dtype, 200, s.sizes)).bytes() == want.bytes());
      Case alone = s.c;
      alone.inputs = {s.c.inputs[0].row_alone(77)};
      alone.step.positions = s.positions.data() + 77;
      CHECK(alone.run(*five, *all[0], RowsOf(dtype, 1, s.sizes)).row_bytes(0) == want.row_bytes(77));

      auto instance = s.c.instance(*five, *all[0], s.c.inputs[0]);
      auto stream = five->create_stream();
      const TensorView x[] = {s.c.inputs[0].view()};
      REQUIRE(instance->launch({*five, **stream, s.c.step, x, x, {}, nullptr, {}}).ok());
      CHECK(s.c.inputs[0].bytes() == want.bytes());
    }
}

TEST_CASE("a step's cosines are made once for all ops of the same frequencies, and anew for other positions") {
  auto device = open_cpu(2);
  auto& parallel = *static_cast<CpuParallel*>(device->query(CpuParallel::kInterface));
  Tables tables;
  const auto a = tables.by({1.0f, 0.5f}), b = tables.by({1.0f, 0.5f}), other = tables.by({1.0f, 0.25f});
  CHECK(a == b);
  CHECK(a != other);
  const int32_t positions[] = {3, 1, 4}, next[] = {4, 2, 5};
  const auto first = a->of(positions, parallel);
  CHECK(b->of(positions, parallel) == first);
  CHECK(first->cosine[3] == std::cos(0.5f));
  CHECK(first->sine[4] == std::sin(4.0f));
  const auto second = a->of(next, parallel);
  CHECK(second != first);
  CHECK(second->positions == std::vector<int32_t>{4, 2, 5});
  CHECK(a->of(std::span(next).first(2), parallel)->positions.size() == 2);
}

TEST_CASE("NaN stays in its pair") {
  auto device = open_cpu(1);
  const auto all = candidates();
  for (const DType dtype : {DType::bf16, DType::f32}) {
    Setup s({2, 64, 0, 32}, dtype, 2);
    s.c.inputs[0].set(1, 5, std::numeric_limits<float>::quiet_NaN());
    RowsOf got = s.c.run(*device, *all[0], RowsOf(dtype, 2, s.sizes));
    for (size_t i = 0; i < 128; ++i) {
      CHECK(!std::isnan(got.values(0)[i]));
      CHECK(std::isnan(got.values(1)[i]) == (i == 5 || i == 37));
    }
  }
}

TEST_CASE("every no has its reason") {
  auto device = open_cpu(1);
  for (const auto& candidate : candidates()) {
    Setup s({1, 64, 0, 32}, DType::f32, 1);
    const RowsOf out(DType::f32, 1, s.sizes);
    CHECK(candidate->supports(s.c.problem(*device, out)));
    s.c.constants[0].resize(33);
    CHECK(candidate->supports(s.c.problem(*device, out)).reason == "33 pairs from 0 on do not lie within 64 values");
    s.c.constants.clear();
    CHECK(candidate->supports(s.c.problem(*device, out)).reason.find("is not among the Program's constants") !=
          std::string::npos);
  }
}

}  // namespace
}  // namespace tare::rotary
