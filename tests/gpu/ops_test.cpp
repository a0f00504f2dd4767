// The model's operations on a GPU against the CPU's oracles, in both types, with odd widths; attention also against
// itself in other batches.
#include "core/api/ops.hpp"
#include "tests/gpu/oracle.hpp"

using namespace tare;
using namespace tare::gpu_test;

namespace {

struct Both {
  std::unique_ptr<Device> gpu, cpu;
  Both() : gpu(open_gpu()) {
    if (gpu != nullptr) cpu = std::move(*host().open_device("cpu", {.threads = 2, .memory_bytes = int64_t{1} << 30}));
  }
  explicit operator bool() const { return gpu != nullptr; }
  // Both kernels' results; the largest difference of each.
  void compare(const OpCase& c, const char* kernel, const char* oracle, const std::vector<Rows2>& results,
               double tolerance) {
    const auto found = c.run(*gpu, kernel, results), wanted = c.run(*cpu, oracle, results);
    for (size_t i = 0; i < results.size(); ++i)
      CHECK_MESSAGE(difference(found[i], wanted[i]) <= tolerance, kernel, " result ", i, ": ",
                    difference(found[i], wanted[i]));
  }
};
double tolerance(DType dtype) { return dtype == DType::f32 ? 1e-5 : 8e-3; }
constexpr DType kTypes[] = {DType::bf16, DType::f32};

}  // namespace

TEST_CASE("norms: rms and layer, with and without weights, over heads, in both types") {
  Both both;
  if (!both) return;
  for (const DType dtype : kTypes)
    for (const int64_t width : {1, 7, 64, 576, 5000})
      for (const auto kind : {Norm::Kind::rms, Norm::Kind::layer})
        for (const int64_t heads : {1, 3})
          for (const bool plain : {false, true}) {
            const Weight2 weight(DType::bf16, {width}, 0, 3, 0.5f, 1), bias(DType::bf16, {width}, 0, 4);
            OpCase c;
            c.op = "norm/1",
            c.attributes = to_attributes(Norm{.kind = kind, .eps = 1e-5f, .offset = plain ? 0.f : 1.f});
            c.inputs.emplace_back(dtype, std::vector<int64_t>{5, heads, width}, 2);
            c.weights = {plain ? nullptr : &weight, plain || kind == Norm::Kind::rms ? nullptr : &bias};
            both.compare(c, "norm.cuda", "norm.cpu_reference", {{dtype, {5, heads, width}}}, tolerance(dtype));
          }
}

TEST_CASE("rotary: halves and neighbours, a part of the head, far positions") {
  Both both;
  if (!both) return;
  for (const DType dtype : kTypes)
    for (const auto pairs : {Rotary::Pairs::halves, Rotary::Pairs::neighbours})
      for (const int64_t first : {0, 8}) {
        OpCase c;
        c.op = "rotary/1";
        c.attributes = to_attributes(
            Rotary{.pairs = pairs, .first = first, .width = 32, .frequencies = Constant{0}, .magnitude = 1.25f});
        c.constants.emplace_back();
        for (int j = 0; j < 16; ++j) c.constants[0].push_back(std::pow(10000.0f, -2.0f * static_cast<float>(j) / 32));
        c.facts.positions = {0, 17, 100000};
        c.inputs.emplace_back(dtype, std::vector<int64_t>{3, 2, 64}, 5);
        both.compare(c, "rotary.cuda", "rotary.cpu_reference", {{dtype, {3, 2, 64}}}, 3 * tolerance(dtype));
      }
}

TEST_CASE("elementwise operations round where they should") {
  Both both;
  if (!both) return;
  for (const DType dtype : kTypes) {
    const std::vector<int64_t> sizes{3, 5, 101};
    OpCase one, two;
    one.inputs.emplace_back(dtype, sizes, 6, 2.f);
    two.inputs = {Rows2(dtype, sizes, 6, 2.f), Rows2(dtype, sizes, 7, 2.f)};
    for (const auto activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu}) {
      two.op = "gated/1", two.attributes = to_attributes(Gated{activation});
      both.compare(two, "gated.cuda", "gated.cpu_reference", {{dtype, sizes}}, tolerance(dtype));
      one.op = "activate/1", one.attributes = to_attributes(Activate{activation});
      both.compare(one, "activate.cuda", "activate.cpu_reference", {{dtype, sizes}}, tolerance(dtype));
    }
    two.op = "add/1", two.attributes = {};
    both.compare(two, "add.cuda", "add.cpu_reference", {{dtype, sizes}}, 0);
    one.op = "scale/1", one.attributes = to_attributes(Scale{0.3f});
    both.compare(one, "scale.cuda", "scale.cpu_reference", {{dtype, sizes}}, 0);
    one.op = "soft_cap/1", one.attributes = to_attributes(SoftCap{1.5f});
    both.compare(one, "soft_cap.cuda", "soft_cap.cpu_reference", {{dtype, sizes}}, tolerance(dtype));
  }
}

TEST_CASE("rows are copied as they are") {
  Both both;
  if (!both) return;
  for (const DType dtype : kTypes) {
    OpCase c;
    c.op = "logit_rows/1", c.facts.logit_row_tokens = {4, 0, 4};
    c.inputs.emplace_back(dtype, std::vector<int64_t>{5, 77}, 8);
    both.compare(c, "logit_rows.cuda", "logit_rows.cpu", {{dtype, {3, 77}}}, 0);
    OpCase d;
    d.op = "concat/1";
    d.inputs = {Rows2(dtype, {4, 33}, 9), Rows2(dtype, {4, 100}, 10)};
    both.compare(d, "concat.cuda", "concat.cpu", {{dtype, {4, 133}}}, 0);
  }
}

TEST_CASE("embeddings: rows out of plain numbers and straight out of records") {
  Both both;
  if (!both) return;
  const Weight2 table(DType::bf16, {512, 192}, 1, 11), wide(DType::f32, {50, 100}, 1, 12);
  Weight2 outliers(DType::bf16, {512, 256}, 1, 13);
  for (size_t i = 0; i < outliers.bytes.size() / 2; i += 37) {  // escapes by the dozen a record
    const uint16_t bits = to_bf16(i % 3 == 0 ? 0.f : 40.f + static_cast<float>(i % 100)).bits;
    if (i % 259 == 0) std::memcpy(outliers.bytes.data() + 2 * i, &bits, 2);
  }
  for (const auto& [weight, layout] : {std::pair<const Weight2*, const char*>{&table, "dense/rows"},
                                       {&table, "dense/cuda-strips"},
                                       {&table, "w12/cuda-strips"},
                                       {&table, "w11/cuda-strips"},
                                       {&outliers, "w12/cuda-strips"},
                                       {&wide, "dense/rows"}})
    for (const DType dtype : kTypes) {
      INFO(layout);
      OpCase c;
      c.op = "embed/1", c.weights = {weight}, c.layouts = {layout};
      c.facts.token_ids = {7, 0, 49, 7, 15, 16, 17, 33};
      OpCase plain = c;
      plain.layouts = {};
      const std::vector<Rows2> results{{dtype, {8, weight->info.inputs()}}};
      const auto found = c.run(*both.gpu, "embed.cuda", results);
      CHECK(found[0].bytes == plain.run(*both.cpu, "embed.cpu_reference", results)[0].bytes);
      CHECK(c.without_bind().run(*both.gpu, "embed.cuda", results)[0].bytes == found[0].bytes);
    }
}

namespace {

// `sequences` sequences of those lengths, all of their rows in this step.
OpCase attention(DType dtype, StateKind state, float soft_cap, int64_t heads, int64_t kv_heads, int64_t d, int64_t dv,
                 const std::vector<int32_t>& lengths) {
  OpCase c;
  c.op = "attention/1", c.state = state;
  c.attributes = to_attributes(Attention{.scale = 0.2f, .soft_cap = soft_cap, .causal = true});
  c.state_parts = {{kv_heads, d}, {kv_heads, dv}};
  c.facts.sequence_begin = {0}, c.facts.page_stride = 16;
  int32_t page = 0;
  for (const int32_t length : lengths) {
    for (int32_t p = 0; p < length; ++p) c.facts.positions.push_back(p);
    c.facts.sequence_begin.push_back(static_cast<int32_t>(c.facts.positions.size()));
    c.facts.context_lengths.push_back(length);
    for (int32_t p = 0; p < 16; ++p) c.facts.pages.push_back(p * c.page_tokens < length ? page++ : -1);
  }
  const auto rows = static_cast<int64_t>(c.facts.positions.size());
  c.inputs = {Rows2(dtype, {rows, heads, d}, 20), Rows2(dtype, {rows, kv_heads, d}, 21),
              Rows2(dtype, {rows, kv_heads, dv}, 22)};
  return c;
}

}  // namespace

TEST_CASE("attention over paged state: full, windows and chunks, grouped heads, odd sizes") {
  Both both;
  if (!both) return;
  for (const DType dtype : kTypes)
    for (const StateKind state : {full(), window(20), chunk(32)})
      for (const auto& [heads, kv_heads, d, dv] :
           {std::array<int64_t, 4>{4, 2, 24, 24}, {3, 3, 64, 32}, {8, 1, 128, 128}, {2, 1, 256, 200}})
        for (const float cap : {0.f, 3.f}) {
          const OpCase c = attention(dtype, state, cap, heads, kv_heads, d, dv, {1, 70, 130});
          both.compare(c, "attention.cuda", "attention.cpu_reference",
                       {{dtype, {std::ssize(c.facts.positions), heads, dv}}}, tolerance(dtype));
        }
}

TEST_CASE("a row's attention does not depend on what else is in the step") {
  Both both;
  if (!both) return;
  for (const DType dtype : kTypes) {
    const OpCase all = attention(dtype, full(), 0, 4, 2, 64, 64, {90, 90});
    const auto whole = all.run(*both.gpu, "attention.cuda", {{dtype, {180, 4, 64}}});
    OpCase alone = attention(dtype, full(), 0, 4, 2, 64, 64, {90});
    for (Rows2& t : alone.inputs) {  // the first sequence's own rows
      const Rows2& from = all.inputs[static_cast<size_t>(&t - alone.inputs.data())];
      std::copy_n(from.bytes.begin(), t.bytes.size(), t.bytes.begin());
    }
    const auto one = alone.run(*both.gpu, "attention.cuda", {{dtype, {90, 4, 64}}});
    CHECK(std::equal(one[0].bytes.begin(), one[0].bytes.end(), whole[0].bytes.begin()));
  }
}

TEST_CASE("greedy choice: ties to the lower id, and rows that are none are refused by their numbers") {
  Both both;
  if (!both) return;
  for (const DType dtype : kTypes) {
    OpCase c;
    c.op = "sample/1";
    c.inputs.emplace_back(dtype, std::vector<int64_t>{1, 5000}, 30);
    // Without parameters nothing is drawn: the launch is a no-op, which must not fail.
    const auto ids = c.run(*both.gpu, "sample.cuda", {{DType::i32, {1}}});
    CHECK(ids.size() == 1);
  }
}

TEST_CASE("products of any shape and type, biases, f32 results: the plain kernel against the oracle") {
  Both both;
  if (!both) return;
  for (const DType x : kTypes)
    for (const DType w : kTypes)
      for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {33, 96}, {100, 777}})
        for (const int64_t rows : {1, 9, 40}) {
          const Weight2 weight(w, {n, k}, 1, 40), bias(w, {n}, 0, 41, 1.f);
          OpCase c;
          c.op = "linear/1", c.attributes = to_attributes(Linear{});
          c.inputs.emplace_back(x, std::vector<int64_t>{rows, k}, 42);
          c.weights = {&weight, &bias};
          both.compare(c, "linear.cuda_reference", "linear.cpu_reference", {{DType::f32, {rows, n}}}, 2e-5);
          both.compare(c, "linear.cuda_reference", "linear.cpu_reference", {{DType::bf16, {rows, n}}}, 8e-3);
        }
}

TEST_CASE("fused products: one order of sums at every number of rows, in both layouts, with bias and f32 results") {
  Both both;
  if (!both) return;
  constexpr int64_t kMost = 300;
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{320, 64}, {1024, 1024}, {7168, 512}, {576, 576}}) {
    const Weight2 weight(DType::bf16, {n, k}, 1, 50), second(DType::bf16, {512, k}, 1, 51),
        bias(DType::bf16, {n}, 0, 52, 1.f);
    for (const bool with_bias : {false, true})
      for (const DType result : kTypes) {
        CAPTURE(n);
        CAPTURE(with_bias);
        const Rows2 x(DType::bf16, {kMost, k}, 53);
        const auto run = [&](int64_t rows, const char* layout, bool bound) {
          OpCase c;
          c.op = "linear/1", c.attributes = to_attributes(Linear{});
          c.inputs.emplace_back(DType::bf16, std::vector<int64_t>{rows, k});
          std::copy_n(x.bytes.begin(), c.inputs[0].bytes.size(), c.inputs[0].bytes.begin());
          c.weights = {&weight, with_bias ? &bias : nullptr, &second, nullptr};
          c.layouts = {layout, "", layout, ""};
          if (!bound) c.without_bind();
          return c.run(*both.gpu, "linear.cuda", {{result, {rows, n}}, {DType::bf16, {rows, 512}}});
        };
        const auto whole = run(kMost, "dense/cuda-strips", true);
        OpCase oracle;
        oracle.op = "linear/1", oracle.attributes = to_attributes(Linear{}), oracle.inputs = {x};
        oracle.weights = {&weight, with_bias ? &bias : nullptr};
        const auto wanted = oracle.run(*both.cpu, "linear.cpu_reference", {{result, {kMost, n}}});
        CHECK(difference(whole[0], wanted[0]) <= (result == DType::f32 ? 1e-4 : 8e-3));
        SideBySide parts;
        for (const int64_t rows : {1, 5, 8, 16, 31, 48, 64, 100, 128, 256, 300})
          for (const char* layout : {"w12/cuda-strips", "w11/cuda-strips", "dense/cuda-strips"}) {
            if (std::string(layout).starts_with("w11") && (with_bias || result == DType::f32 || rows % 16 != 0))
              continue;
            if (rows > 64 && with_bias && result == DType::f32) continue;  // few new kernels, much compiling
            parts.add([&, rows, layout] {
              const auto some = run(rows, layout, rows != 16);
              for (const size_t i : {size_t{0}, size_t{1}})
                CHECK_MESSAGE(std::equal(some[i].bytes.begin(), some[i].bytes.end(), whole[i].bytes.begin()), layout,
                              ", ", rows, " rows, result ", i);
            });
          }
        parts.run();
      }
  }
}

TEST_CASE("every config of the tuner's space gives the fallback's bits") {
  Both both;
  if (!both) return;
  const int64_t n = 1024, k = 512;
  const Weight2 weight(DType::bf16, {n, k}, 1, 60);
  const KernelCandidate* kernel = host().registry().kernel("linear.cuda");
  REQUIRE(kernel != nullptr);
  for (const int64_t rows : {8, 64, 256}) {
    OpCase c;
    c.op = "linear/1", c.attributes = to_attributes(Linear{});
    c.inputs.emplace_back(DType::bf16, std::vector<int64_t>{rows, k}, 61);
    c.weights = {&weight, nullptr}, c.layouts = {"w12/cuda-strips", ""};
    const auto wanted = c.run(*both.gpu, "linear.cuda", {{DType::bf16, {rows, n}}});
    Problem p;
    p.device_kind = "cuda", p.features = both.gpu->info().features, p.units = both.gpu->info().units, p.rows = rows;
    ProblemOp o;
    o.op = c.op, o.attributes = c.attributes, o.inputs = {c.inputs[0].info()};
    o.results = {Rows2(DType::bf16, {rows, n}).info()}, o.weights = {weight.info, std::nullopt};
    p.ops = {o};
    const auto space = kernel->space(p);
    const auto found = c.run_each(*both.gpu, "linear.cuda", space, {{DType::bf16, {rows, n}}});
    for (size_t i = 0; i < space.size(); ++i) CHECK_MESSAGE(found[i][0].bytes == wanted[0].bytes, to_string(space[i]));
  }
}
