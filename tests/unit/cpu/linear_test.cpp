#include <cmath>
#include <limits>

#include "core/api/activation.hpp"
#include "tests/unit/cpu/linear_case.hpp"

namespace tare::linear::test {
namespace {

using Outputs = std::vector<std::vector<std::byte>>;

// Largest |a - b| over the largest |b|.
double distance(const Outputs& a, const Outputs& b, DType dtype) {
  double most = 0, size = 1e-30;
  for (size_t i = 0; i < a.size(); ++i) {
    REQUIRE(a[i].size() == b[i].size());
    for (size_t j = 0; j * static_cast<size_t>(size_of(dtype)) < a[i].size(); ++j) {
      const double x = get(a[i], j, dtype), y = get(b[i], j, dtype);
      most = std::max(most, std::abs(x - y)), size = std::max(size, std::abs(y));
    }
  }
  return most / size;
}
std::vector<std::byte> row(const Outputs& outputs, size_t output, int64_t r, int64_t rows) {
  const auto bytes = static_cast<int64_t>(outputs[output].size()) / rows;
  const auto* from = outputs[output].data() + r * bytes;
  return {from, from + bytes};
}

TEST_CASE("every fast kernel is close to the oracle, ragged sizes, bias, stacked, gaps between rows") {
  auto device = open_cpu(2);
  const auto reference = make_reference();
  for (const Backend& b : backends()) {
    if (b.backend == nullptr) continue;
    const auto candidate = make_candidate(b.backend, Tail::none);
    for (const DType out : {DType::f32, DType::bf16})
      for (const int64_t k : {32, 40, 100, 1, 256})
        for (const std::vector<int64_t>& n :
             {std::vector<int64_t>{64}, {1}, {63}, {65}, {100}, {64, 32, 17}, {130, 130}})
          for (const int64_t rows : {1, 5, 16, 33, 70}) {
            Case c({.outputs = n, .inputs = k, .out = out, .bias = k != 40, .row_gap = k == 100 ? 3 : 0}, rows);
            if (!runs_here(b, *candidate, c.problem(*device, rows))) goto next;
            CAPTURE(b.name);
            CAPTURE(k);
            CAPTURE(n.size());
            CAPTURE(n[0]);
            CAPTURE(rows);
            const auto want = c.run(*device, *reference, rows), got = c.run(*device, *candidate, rows);
            CHECK(distance(got, want, out) < (out == DType::f32 ? 2e-6 : 8e-3));
          }
  next:;
  }
}

TEST_CASE("Highway gives the oracle's bits, on every target with FMA, for BF16 and F32") {
  auto device = open_cpu(2);
  const auto reference = make_reference();
  const auto candidate = make_candidate(make_highway_backend(), Tail::none);
  for (const DType weight : {DType::bf16, DType::f32})
    for (const DType x : {DType::bf16, DType::f32})
      for (const int64_t k : {96, 77})
        for (const int64_t rows : {1, 2, 3, 7, 40}) {
          Case c({.outputs = {100}, .inputs = k, .x = x, .weight = weight, .out = DType::f32, .bias = true}, rows);
          const Problem p = c.problem(*device, rows);
          if (candidate->numerics(p) != reference->numerics(p)) {
            MESSAGE("skipped: no FMA");
            return;
          }
          const auto want = c.run(*device, *reference, rows);
          for (const KernelConfig& config : candidate->space(p)) {
            CAPTURE(to_string(config));
            CHECK(c.run(*device, *candidate, rows, 0, &config) == want);
          }
        }
}

TEST_CASE("targets without FMA agree with each other over M and lie close to the oracle") {
  auto device = open_cpu(2);
  const auto reference = make_reference();
  const auto candidate = make_candidate(make_highway_backend(), Tail::none);
  Case c({.outputs = {100}, .inputs = 77, .weight = DType::f32, .out = DType::f32}, 33);
  const auto want = c.run(*device, *reference, 33);
  for (const CpuTarget target : {CpuTarget::baseline, CpuTarget::sse4}) {
    // A CPU of that time: no wider features are told.
    auto with = [&](int64_t rows) {
      Problem p = c.problem(*device, rows);
      p.features = target == CpuTarget::sse4 ? std::vector<std::string>{"sse4_1", "sse4_2", "ssse3"}
                                             : std::vector<std::string>{};
      return p;
    };
    CHECK(cpu_targets_for(with(1).features).front() == target);
    CHECK(candidate->numerics(with(1)) == (has_fma(target) ? "k-seq-fma" : "k-seq-mul-add"));
    const Problem p = with(33);
    auto instance = candidate->instance(*device, p, candidate->fallback(p));
    REQUIRE(instance.ok());
    size_t offset = 0;
    const auto laid = c.weight(0).encoded(kCpuTiles, offset);
    const WeightView views[] = {{laid.data() + offset, 0, kCpuTiles, &c.weight(0).info, nullptr}, {}};
    std::vector<std::byte> scratch(static_cast<size_t>(candidate->scratch_bytes(p, {})));
    auto stream = device->create_stream();
    std::vector<std::byte> first;
    for (const int64_t rows : {33, 1}) {
      std::vector<std::byte> out(static_cast<size_t>(rows * 400));
      const TensorView inputs[] = {packed_view(c.x().data(), DType::bf16, {rows, 77})};
      const TensorView outputs[] = {packed_view(out.data(), DType::f32, {rows, 100})};
      REQUIRE((*instance)->launch({*device, **stream, {}, inputs, outputs, views, nullptr, scratch}).ok());
      if (rows == 33) CHECK(distance({out}, want, DType::f32) < 2e-6);
      out.resize(400);
      if (first.empty()) first = out;
      CHECK(out == first);
    }
  }
}

TEST_CASE("a row's bits do not depend on the other rows, the bucket, the threads or the config") {
  auto one = open_cpu(1), two = open_cpu(2), five = open_cpu(5);
  for (const Backend& b : backends()) {
    if (b.backend == nullptr) continue;
    const auto candidate = make_candidate(b.backend, Tail::none);
    for (const int64_t k : {64, 100, 1056})
      for (const DType out : {DType::f32, DType::bf16}) {
        Case c({.outputs = {130, 64}, .inputs = k, .out = out, .bias = true}, 512);
        if (!runs_here(b, *candidate, c.problem(*two, 1))) goto next;
        CAPTURE(b.name);
        CAPTURE(k);
        const auto alone = c.run(*one, *candidate, 1), last_alone = c.run(*one, *candidate, 1, 511);
        for (const int64_t rows : {2, 3, 15, 16, 17, 31, 33, 64, 100, 512}) {
          CAPTURE(rows);
          for (Device* device : {one.get(), two.get(), five.get()}) {
            const auto together = c.run(*device, *candidate, rows);
            for (size_t i = 0; i < 2; ++i) {
              CHECK(row(together, i, 0, rows) == alone[i]);
              if (rows == 512) CHECK(row(together, i, 511, rows) == last_alone[i]);
            }
          }
        }
        const auto in_larger_bucket = c.run(*two, *candidate, 3, 0, nullptr, 512);
        CHECK(row(in_larger_bucket, 0, 0, 3) == alone[0]);
      }
    {
      Case c({.outputs = {200}, .inputs = 1100, .out = DType::f32}, 100);
      for (const int64_t rows : {1, 40, 100}) {
        const auto want = c.run(*two, *candidate, rows);
        const auto space = candidate->space(c.problem(*two, rows));
        CHECK(space.size() >= 3);
        for (const KernelConfig& config : space) {
          CAPTURE(to_string(config));
          CHECK(c.run(*two, *candidate, rows, 0, &config) == want);
        }
      }
    }
  next:;
  }
}

TEST_CASE("one row has the bits of many for every exponent: subnormals, infinities, sums that overflow or vanish") {
  auto device = open_cpu(2);
  for (const Backend& b : backends()) {
    if (b.backend == nullptr) continue;
    const auto candidate = make_candidate(b.backend, Tail::none);
    for (const int least : {0, 0, 90, 150, 200}) {  // biased exponents of both factors begin here
      Case c({.outputs = {200}, .inputs = 160, .out = DType::f32, .seed = static_cast<uint32_t>(least + 1)}, 17);
      if (!runs_here(b, *candidate, c.problem(*device, 1))) break;
      CAPTURE(b.name);
      CAPTURE(least);
      std::mt19937 random(static_cast<uint32_t>(least));
      for (std::vector<std::byte>* bytes : {&c.x(), &c.weight(0).plain})
        for (size_t i = 0; i + 1 < bytes->size(); i += 2) {
          const uint64_t exponent = std::min<uint64_t>(255, static_cast<uint64_t>(least) + random() % 70);
          uint64_t bits = (random() & 0x807f) | exponent << 7;
          if (exponent == 255) bits &= 0xff80;  // no NaN: which payload a sum has is not promised
          const auto number = static_cast<uint16_t>(bits);
          std::memcpy(bytes->data() + i, &number, 2);
        }
      const auto together = c.run(*device, *candidate, 17);
      for (const int64_t r : {int64_t{0}, int64_t{5}, int64_t{16}}) {
        const auto alone = c.run(*device, *candidate, 1, r);
        const auto same = row(together, 0, r, 17);
        for (size_t i = 0; i < 200; ++i) {
          const float a = get(alone[0], i, DType::f32), t = get(same, i, DType::f32);
          CHECK((std::isnan(a) ? std::isnan(t) : std::memcmp(&a, &t, 4) == 0));
        }
      }
    }
  }
}

// The separate ops, by their definitions.
std::vector<std::byte> finished_apart(Case& c, const Outputs& products, int64_t rows,
                                      const std::vector<float>& residual) {
  const CaseOptions& o = c.options();
  const auto count = static_cast<size_t>(rows * o.outputs[0]);
  std::vector<std::byte> out(count * static_cast<size_t>(size_of(o.out)));
  for (size_t i = 0; i < count; ++i) {
    if (o.tail == Tail::add) {
      put(out, i, o.out, get(products[0], i, o.out) + residual[i]);
    } else {
      const float gate = get(products[o.swapped ? 1 : 0], i, o.out), up = get(products[o.swapped ? 0 : 1], i, o.out);
      put(out, i, o.out, rounded(activated(gate, o.activation), o.out) * up);
    }
  }
  return out;
}

TEST_CASE("fused chains give the bits of the separate ops") {
  auto device = open_cpu(2);
  for (const Backend& b : backends()) {
    if (b.backend == nullptr) continue;
    for (const DType dtype : {DType::bf16, DType::f32})
      for (const int64_t rows : {1, 3, 40})
        for (const bool bias : {false, true}) {
          const DType x = b.name == "Highway" ? dtype : DType::bf16;
          const auto run = [&](Tail tail, Activation activation, bool swapped) {
            std::vector<int64_t> outputs(tail == Tail::gated ? 2 : 1, 150);
            CaseOptions o{.outputs = outputs, .inputs = 96, .x = x, .out = dtype, .bias = bias, .row_gap = 2};
            Case apart(o, rows);
            o.tail = tail, o.activation = activation, o.swapped = swapped;
            Case fused(o, rows);
            const auto plain = make_candidate(b.backend, Tail::none), chain = make_candidate(b.backend, tail);
            CHECK(chain->numerics(fused.problem(*device, rows)) == plain->numerics(apart.problem(*device, rows)));
            const auto products = apart.run(*device, *plain, rows), got = fused.run(*device, *chain, rows);
            std::vector<float> residual;
            for (int64_t r = 0; r < rows; ++r)
              for (int64_t n = 0; n < 150; ++n) residual.push_back(fused.residual_at(r, n));
            CHECK(got[0] == finished_apart(fused, products, rows, residual));
          };
          CAPTURE(b.name);
          CAPTURE(rows);
          const auto plain = make_candidate(b.backend, Tail::none);
          if (!runs_here(b, *plain, Case({.inputs = 32, .x = x}, 1).problem(*device, 1))) goto next;
          run(Tail::add, Activation::none, false);
          for (const Activation a : {Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu})
            run(Tail::gated, a, a == Activation::gelu);
        }
  next:;
  }
}

TEST_CASE("NaN and infinity reach the rows and outputs that see them, and no others") {
  auto device = open_cpu(2);
  for (const Backend& b : backends()) {
    if (b.backend == nullptr) continue;
    const auto candidate = make_candidate(b.backend, Tail::none);
    for (const int64_t rows : {4, 40}) {
      CAPTURE(b.name);
      Case c({.outputs = {70}, .inputs = 40, .out = DType::f32}, rows);
      if (!runs_here(b, *candidate, c.problem(*device, rows))) break;
      const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
      put(c.x(), static_cast<size_t>(1 * c.x_stride() + 39), DType::bf16, nan);
      put(c.weight(0).plain, 69 * 40 + 3, DType::bf16, inf);
      put(c.x(), static_cast<size_t>(0 * c.x_stride() + 3), DType::bf16, 2.0f);
      put(c.x(), static_cast<size_t>(2 * c.x_stride() + 3), DType::bf16, 0.0f);
      const auto out = c.run(*device, *candidate, rows);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t n = 0; n < 70; ++n) {
          const float v = get(out[0], static_cast<size_t>(r * 70 + n), DType::f32);
          CAPTURE(r);
          CAPTURE(n);
          if (r == 1)
            CHECK(std::isnan(v));
          else if (n == 69 && r == 0)
            CHECK(v == inf);
          else if (n == 69 && r == 2)
            CHECK(std::isnan(v));  // 0 times infinity
          else if (n != 69)
            CHECK(std::isfinite(v));
        }
    }
  }
}

TEST_CASE("no rows and no inputs are answered, not crashed upon") {
  auto device = open_cpu(2);
  for (const Backend& b : backends()) {
    if (b.backend == nullptr) continue;
    const auto candidate = make_candidate(b.backend, Tail::none);
    Case c({.outputs = {5}, .inputs = 32}, 1);
    if (!runs_here(b, *candidate, c.problem(*device, 1))) continue;
    CHECK(c.run(*device, *candidate, 0, 0, nullptr, 16)[0].empty());
    Case empty({.outputs = {5}, .inputs = 0}, 2);
    CHECK(candidate->supports(empty.problem(*device, 2)).reason == "w is [5, 0], expected 1 or more of both");
  }
}

TEST_CASE("every no has its reason") {
  auto device = open_cpu(1);
  const auto amx = make_amx_backend();
  Case c({.outputs = {64}, .inputs = 64}, 1);
  Problem p = c.problem(*device, 1);
  if (amx != nullptr) {
    const auto candidate = make_candidate(amx, Tail::none);
    Problem old = p;
    old.features = {"avx2", "fma"};
    CHECK(candidate->supports(old).reason == "the CPU has no AMX-BF16");
    p.features.push_back("amx_bf16");
    Case wide({.outputs = {64}, .inputs = 64, .x = DType::f32, .weight = DType::f32, .out = DType::f32}, 1);
    Problem f32 = wide.problem(*device, 1);
    f32.features = p.features;
    CHECK(candidate->supports(f32).reason == "x is f32 and weights are f32, expected bf16");
  }
  const auto highway = make_candidate(make_highway_backend(), Tail::none);
  Problem mixed = p;
  mixed.ops[0].weights[0]->shape = {64, 63};
  CHECK(highway->supports(mixed).reason == "w sums over 63 inputs, x has 64");
  CHECK(highway->accepts(p, {{"prefetch", int64_t{-1}}}).reason == "prefetch is -1, expected 0 to 1048576 bytes");
  CHECK(highway->accepts(p, {{"speed", int64_t{1}}}).reason == "attribute 'speed' is unknown");
  CHECK(highway->accepts(p, {{"rows", int64_t{33}}}).reason.starts_with("rows is 33"));
  const auto gated = make_candidate(make_highway_backend(), Tail::gated);
  Case pair({.outputs = {64, 64}, .inputs = 64, .tail = Tail::gated}, 1);
  Problem unsure = pair.problem(*device, 1);
  CHECK(gated->supports(unsure));
  unsure.ops[1].chain_results = {0, 0};
  CHECK(gated->supports(unsure).reason == "gated does not take both products");
}

}  // namespace
}  // namespace tare::linear::test
