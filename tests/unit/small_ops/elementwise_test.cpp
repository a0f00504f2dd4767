#include "plugins/elementwise/elementwise.hpp"

#include "core/api/activation.hpp"
#include "tests/unit/small_ops/case.hpp"

namespace tare::elementwise {
namespace {
using namespace small_ops;

struct Variant {
  std::string op;
  Attributes attributes;
  size_t inputs = 1;
};
std::vector<Variant> variants() {
  std::vector<Variant> out{{"add/1", to_attributes(Add{}), 2},
                           {"scale/1", to_attributes(Scale{.factor = 0.3f})},
                           {"soft_cap/1", to_attributes(SoftCap{.cap = 3})}};
  for (const Activation a :
       {Activation::none, Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu}) {
    out.push_back({"gated/1", to_attributes(Gated{.activation = a}), 2});
    out.push_back({"activate/1", to_attributes(Activate{.activation = a})});
  }
  return out;
}
const KernelCandidate& find(const std::vector<std::unique_ptr<KernelCandidate>>& all, const std::string& op) {
  for (const auto& candidate : all)
    if (candidate->takes().front() == op) return *candidate;
  FAIL("no candidate for ", op);
  return *all.front();
}
Case make(const Variant& v, DType dtype, int64_t rows, int64_t width, float deviation = 2) {
  Case c{.op = v.op, .attributes = v.attributes, .inputs = {}};
  for (size_t i = 0; i < v.inputs; ++i)
    c.inputs.push_back(RowsOf(dtype, rows, {width}).fill(static_cast<uint32_t>(5 + i), deviation));
  return c;
}
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("fast elementwise ops give the oracle's bits, soft_cap a neighbour at most, on every instruction set") {
  auto device = open_cpu(2);
  const auto fast = fast_candidates(), reference = reference_candidates();
  for (const Variant& v : variants())
    for (const DType dtype : {DType::bf16, DType::f32})
      for (const int64_t width : widths()) {
        CAPTURE(v.op);
        CAPTURE(width);
        Case c = make(v, dtype, 5, width);
        const RowsOf want = c.run(*device, find(reference, v.op), RowsOf(dtype, 5, {width}));
        std::vector<std::byte> first;
        for (const auto& features : feature_lists(*device)) {
          c.features = features;
          const RowsOf got = c.run(*device, find(fast, v.op), RowsOf(dtype, 5, {width}));
          if (v.op == "soft_cap/1")
            CHECK(most_ulps(got, want) <= 2);
          else
            CHECK(got.bytes() == want.bytes());
          if (first.empty()) first = got.bytes();
          CHECK(got.bytes() == first);
        }
      }
}

TEST_CASE("tanh of soft_cap is within one unit in the last place from tiny numbers to huge ones") {
  auto device = open_cpu(1);
  const auto fast = fast_candidates();
  Case c{.op = "soft_cap/1", .attributes = to_attributes(SoftCap{.cap = 1}), .inputs = {}};
  RowsOf x(DType::f32, 1, {400000});
  std::vector<float> values;
  for (int i = 0; i < 400000; ++i) values.push_back(std::exp2(-30 + 36.0f * float(i) / 400000) * (i % 2 ? -1 : 1));
  store_row(x.view(), 0, values);
  c.inputs.push_back(x);
  const auto got = c.run(*device, find(fast, "soft_cap/1"), RowsOf(DType::f32, 1, {400000})).values(0);
  int64_t most = 0;
  for (size_t i = 0; i < values.size(); ++i)
    most = std::max(most, ulps(got[i], static_cast<float>(std::tanh(static_cast<double>(values[i]))), DType::f32));
  CHECK(most <= 1);
}

TEST_CASE("a row's bits are those of the row alone, whatever the number of threads") {
  auto one = open_cpu(1), five = open_cpu(5);
  const auto fast = fast_candidates();
  for (const Variant& v : variants())
    for (const DType dtype : {DType::bf16, DType::f32}) {
      CAPTURE(v.op);
      Case c = make(v, dtype, 9, 9001);
      const RowsOf want = c.run(*one, find(fast, v.op), RowsOf(dtype, 9, {9001}));
      CHECK(c.run(*five, find(fast, v.op), RowsOf(dtype, 9, {9001})).bytes() == want.bytes());
      for (const int64_t r : {0, 4, 8}) {
        Case alone{.op = c.op, .attributes = c.attributes, .inputs = {}};
        for (RowsOf& t : c.inputs) alone.inputs.push_back(t.row_alone(r));
        CHECK(alone.run(*five, find(fast, v.op), RowsOf(dtype, 1, {9001})).row_bytes(0) == want.row_bytes(r));
      }
    }
}

TEST_CASE("NaN, infinities, zeros and subnormals come out as the oracle's, in their places only") {
  auto device = open_cpu(1);
  const auto fast = fast_candidates(), reference = reference_candidates();
  const std::vector<float> special{kNan,    kInfinity, -kInfinity, 0.0f,  -0.0f, 1e-40f,
                                   -1e-40f, 3e38f,     -3e38f,     88.5f, -89.0f};
  for (const Variant& v : variants())
    for (const DType dtype : {DType::bf16, DType::f32}) {
      CAPTURE(v.op);
      Case c = make(v, dtype, 1, 64);
      for (size_t i = 0; i < special.size(); ++i) c.inputs[0].set(0, static_cast<int64_t>(5 * i), special[i]);
      if (v.inputs > 1) c.inputs[1].set(0, 63, kNan), c.inputs[1].set(0, 62, kInfinity);
      RowsOf want = c.run(*device, find(reference, v.op), RowsOf(dtype, 1, {64}));
      RowsOf got = c.run(*device, find(fast, v.op), RowsOf(dtype, 1, {64}));
      CHECK(most_ulps(got, want) <= (v.op == "soft_cap/1" ? 2 : 0));
      CHECK(!std::isnan(got.values(0)[1]));
    }
}

TEST_CASE("types may differ, and a result may take the place of its input") {
  auto device = open_cpu(2);
  const auto fast = fast_candidates(), reference = reference_candidates();
  for (const Variant& v : variants()) {
    CAPTURE(v.op);
    Case c = make(v, DType::f32, 3, 100);
    if (v.inputs > 1) c.inputs[1] = RowsOf(DType::bf16, 3, {100}).fill(8);
    for (const DType out : {DType::bf16, DType::f32}) {
      const RowsOf want = c.run(*device, find(reference, v.op), RowsOf(out, 3, {100}));
      CHECK(most_ulps(c.run(*device, find(fast, v.op), RowsOf(out, 3, {100})), want) <= 2);
    }
    const RowsOf want = c.run(*device, find(fast, v.op), RowsOf(DType::f32, 3, {100}));
    auto instance = c.instance(*device, find(fast, v.op), c.inputs[0]);
    auto stream = device->create_stream();
    std::vector<TensorView> in;
    for (RowsOf& t : c.inputs) in.push_back(t.view());
    const TensorView out[] = {c.inputs[0].view()};
    REQUIRE(instance->launch({*device, **stream, c.step, in, out, {}, nullptr, {}}).ok());
    CHECK(c.inputs[0].bytes() == want.bytes());
  }
}

TEST_CASE("copies copy") {
  auto device = open_cpu(2);
  const auto all = copy_candidates();
  Case joined{.op = "concat/1", .attributes = to_attributes(Concat{}), .inputs = {}};
  joined.inputs.push_back(RowsOf(DType::bf16, 3, {7}).fill(1));
  joined.inputs.push_back(RowsOf(DType::bf16, 3, {5}).fill(2));
  RowsOf both = joined.run(*device, find(all, "concat/1"), RowsOf(DType::bf16, 3, {12}));
  for (int64_t r = 0; r < 3; ++r) {
    auto want = joined.inputs[0].values(r);
    for (const float x : joined.inputs[1].values(r)) want.push_back(x);
    CHECK(both.values(r) == want);
  }
  Case picked{.op = "logit_rows/1", .attributes = to_attributes(LogitRows{}), .inputs = {}};
  picked.inputs.push_back(RowsOf(DType::f32, 6, {9}).fill(3));
  const int32_t tokens[] = {5, 0, 3};
  picked.step.logit_row_tokens = tokens, picked.step.num_logit_rows = 3;
  const RowsOf rows = picked.run(*device, find(all, "logit_rows/1"), RowsOf(DType::f32, 3, {9}));
  for (int64_t r = 0; r < 3; ++r) CHECK(rows.row_bytes(r) == picked.inputs[0].row_bytes(tokens[r]));
}

TEST_CASE("what is not a float is refused with its name") {
  auto device = open_cpu(1);
  for (const auto& all : {fast_candidates(), reference_candidates()})
    for (const auto& candidate : all) {
      Case c{.op = candidate->takes().front(), .attributes = {}, .inputs = {}};
      const bool two = c.op == "add/1" || c.op == "gated/1";
      for (int i = 0; i < (two ? 2 : 1); ++i) c.inputs.emplace_back(DType::i32, 1, std::vector<int64_t>{4});
      const Verdict verdict = candidate->supports(c.problem(*device, RowsOf(DType::bf16, 1, {4})));
      CHECK(verdict.reason.find("i32, expected bf16 or f32") != std::string::npos);
    }
}

TEST_CASE("a Problem without inputs or results gets a no") {
  for (const auto& all : {fast_candidates(), reference_candidates(), copy_candidates()})
    for (const auto& candidate : all) {
      CAPTURE(candidate->id());
      Problem p;
      p.ops.resize(1);
      p.ops[0].op = candidate->takes().front();
      CHECK(candidate->supports(p).reason.starts_with("0 inputs and 0 results, expected "));
    }
}

}  // namespace
}  // namespace tare::elementwise
