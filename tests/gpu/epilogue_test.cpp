// Products with an addition or a gated activation as their epilogue: the bits of the separate operations, by every
// kernel that has one, at every number of rows, in every code. And steps that are played from a recording: the tokens
// of those that are launched.
#include "core/api/ops.hpp"
#include "tests/gpu/oracle.hpp"

using namespace tare;
using namespace tare::gpu_test;

namespace {

Rows2 first_rows(const Rows2& all, int64_t rows) {
  std::vector<int64_t> sizes = all.sizes;
  sizes[0] = rows;
  Rows2 out(all.dtype, sizes);
  std::copy_n(all.bytes.begin(), out.bytes.size(), out.bytes.begin());
  return out;
}

constexpr int64_t kMost = 600;

struct Chain {
  Weight2 first, second, bias;
  Rows2 x, other;
  Chain(int64_t n, int64_t k)
      : first(DType::bf16, {n, k}, 1, 70),
        second(DType::bf16, {n, k}, 1, 71),
        bias(DType::bf16, {n}, 0, 72, 1.f),
        x(DType::bf16, {kMost, k}, 73),
        other(DType::bf16, {kMost, n}, 74, 3.f) {}

  // Products of the first `rows` rows, alone.
  std::vector<Rows2> products(Device& gpu, const std::string& layout, int64_t rows, bool biased, bool two) const {
    OpCase c;
    c.op = "linear/1", c.attributes = to_attributes(Linear{}), c.inputs = {first_rows(x, rows)};
    c.weights = {&first, biased ? &bias : nullptr}, c.layouts = {layout, ""};
    std::vector<Rows2> results{Rows2(DType::bf16, {rows, other.sizes[1]})};
    if (two) {
      c.weights.insert(c.weights.end(), {&second, nullptr}), c.layouts.insert(c.layouts.end(), {layout, ""});
      results.push_back(results[0]);
    }
    return c.run(gpu, "linear.cuda", results);
  }
  static Rows2 then(Device& gpu, const char* op, const Attributes& attributes, const char* kernel, const Rows2& a,
                    const Rows2& b) {
    OpCase c;
    c.op = op, c.attributes = attributes, c.inputs = {a, b};
    return c.run(gpu, kernel, {Rows2(DType::bf16, a.sizes)})[0];
  }
  OpCase chained(const std::string& layout, int64_t rows, bool biased) const {
    OpCase c;
    c.op = "linear/1", c.attributes = to_attributes(Linear{}), c.inputs = {first_rows(x, rows)};
    c.weights = {&first, biased ? &bias : nullptr}, c.layouts = {layout, ""};
    c.next = OpCase::Next{"add/1", to_attributes(Add{}), {}, {Rows2(DType::bf16, {rows, other.sizes[1]})}};
    return c;
  }
};

constexpr int64_t kRows[] = {1, 3, 8, 16, 31, 48, 64, 100, 128, 192, 256, 333};
const char* const kLayouts[] = {"w12/cuda-strips", "w11/cuda-strips", "dense/cuda-strips"};

}  // namespace

TEST_CASE("a product with what is added to it: the bits of product and addition") {
  const auto gpu = open_gpu();
  if (gpu == nullptr) return;
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1024, 1024}, {7168, 512}, {576, 576}, {25600, 384}}) {
    const Chain chain(n, k);
    SideBySide parts;
    for (const char* layout : kLayouts)
      for (const int64_t rows : kRows)
        for (const bool biased : {false, true}) {
          if (biased && ((rows > 16 && rows < 256) || n != 1024)) continue;
          if (n > 10000 && (rows < 192 || layout != kLayouts[0])) continue;
          parts.add([&, layout, rows, biased, n = n, k = k] {
            const Rows2 other = first_rows(chain.other, rows);
            const auto product = chain.products(*gpu, layout, rows, biased, false);
            const Rows2 wanted = Chain::then(*gpu, "add/1", to_attributes(Add{}), "add.cuda", other, product[0]);
            for (const bool product_first : {false, true}) {
              OpCase c = chain.chained(layout, rows, biased);
              c.inputs.push_back(other);
              c.next->takes = product_first ? std::vector<int32_t>{0, -1} : std::vector<int32_t>{-1, 0};
              if (product_first) c.without_bind();
              const auto found = c.run(*gpu, "linear.cuda+add", {Rows2(DType::bf16, {rows, n})});
              CHECK_MESSAGE(found[0].bytes == wanted.bytes, layout, ", ", n, " x ", k, ", ", rows, " rows");
            }
          });
        }
    parts.run();
  }
}

TEST_CASE("gate and up: every config gives the bits of two products and the activation, either of them as the gate") {
  const auto gpu = open_gpu();
  if (gpu == nullptr) return;
  const KernelCandidate* kernel = host().registry().kernel("linear.cuda+gated");
  REQUIRE(kernel != nullptr);
  // Four leaves, two, one.
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1024, 1024}, {6144, 256}, {10752, 192}}) {
    const Chain chain(n, k);
    SideBySide parts;
    for (const auto activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu})
      for (const char* layout : kLayouts)
        for (const int64_t rows : kRows) {
          if ((activation != Activation::silu && (rows > 8 || n != 1024)) || rows > 192) continue;  // more: not in one
          if (n != 1024 && layout != kLayouts[0] && rows != 8 && rows != 31) continue;
          parts.add([&, activation, layout, rows, n = n, k = k] {
            const Attributes gated = to_attributes(Gated{activation});
            const auto products = chain.products(*gpu, layout, rows, true, true);
            for (const int32_t gate : {0, 1}) {
              const auto at = static_cast<size_t>(gate);
              const Rows2 wanted = Chain::then(*gpu, "gated/1", gated, "gated.cuda", products[at], products[1 - at]);
              OpCase c = chain.chained(layout, rows, true);
              c.weights.insert(c.weights.end(), {&chain.second, nullptr});
              c.layouts.insert(c.layouts.end(), {layout, ""});
              c.next = OpCase::Next{"gated/1", gated, {gate, 1 - gate}, products};
              const std::vector<Rows2> results{Rows2(DType::bf16, {rows, n})};
              const auto space = kernel->space(c.problem(*gpu, results));
              const size_t tried = activation == Activation::silu && gate == 0 ? space.size() : 1;
              for (size_t i = 0; i < tried; ++i) {
                const auto found = OpCase(c).with(space[i]).run(*gpu, "linear.cuda+gated", results);
                CHECK_MESSAGE(found[0].bytes == wanted.bytes, layout, ", ", n, " x ", k, ", ", rows, " rows, gate ",
                              gate, ", ", to_string(space[i]));
              }
            }
          });
        }
    parts.run();
  }
}

TEST_CASE("gate and up in different layouts run by kernels of their own, with the same bits") {
  const auto gpu = open_gpu();
  if (gpu == nullptr) return;
  const Chain chain(1024, 512);
  const Attributes gated = to_attributes(Gated{Activation::silu});
  for (const int64_t rows : {1, 31, 64}) {
    const auto products = chain.products(*gpu, kLayouts[2], rows, true, true);
    const Rows2 wanted = Chain::then(*gpu, "gated/1", gated, "gated.cuda", products[0], products[1]);
    for (const size_t coded : {0, 1}) {
      OpCase c = chain.chained(kLayouts[coded == 0 ? 0 : 2], rows, true);
      c.weights.insert(c.weights.end(), {&chain.second, nullptr});
      c.layouts.insert(c.layouts.end(), {kLayouts[coded == 0 ? 2 : 0], ""});
      c.next = OpCase::Next{"gated/1", gated, {0, 1}, products};
      const auto found = c.run(*gpu, "linear.cuda+gated", {Rows2(DType::bf16, {rows, 1024})});
      CHECK_MESSAGE(found[0].bytes == wanted.bytes, rows, " rows, w12 is matrix ", coded);
    }
  }
}

TEST_CASE("every config of the tuner's space for a chain gives the fallback's bits") {
  const auto gpu = open_gpu();
  if (gpu == nullptr) return;
  const Chain chain(1024, 512);
  const KernelCandidate* kernel = host().registry().kernel("linear.cuda+add");
  REQUIRE(kernel != nullptr);
  for (const int64_t rows : {8, 64, 128, 256, 333}) {
    OpCase c = chain.chained("w12/cuda-strips", rows, false);
    c.inputs.push_back(first_rows(chain.other, rows)), c.next->takes = {-1, 0};
    const std::vector<Rows2> results{Rows2(DType::bf16, {rows, 1024})};
    const auto wanted = c.run(*gpu, "linear.cuda+add", results);
    const auto space = kernel->space(c.problem(*gpu, results));
    const auto found = c.run_each(*gpu, "linear.cuda+add", space, results);
    for (size_t i = 0; i < space.size(); ++i) CHECK_MESSAGE(found[i][0].bytes == wanted[0].bytes, to_string(space[i]));
    CHECK(space.size() >= 3);
  }
}

TEST_CASE("a stack in one launch: every config gives the bits of its products alone, with biases and ragged rows") {
  const auto gpu = open_gpu();
  if (gpu == nullptr) return;
  const KernelCandidate* kernel = host().registry().kernel("linear.cuda");
  REQUIRE(kernel != nullptr);
  struct Sizes {
    int64_t q, kv, columns;
  };
  // Four leaves each; two and four, which only some kernels stack; sizes that no two tiles divide; four leaves, and
  // more tiles than the device takes in one round, so that the last is shared.
  for (const Sizes& n : {Sizes{1024, 512, 1024}, {6144, 512, 512}, {576, 192, 576}, {4096, 1024, 512}}) {
    const Weight2 q(DType::bf16, {n.q, n.columns}, 1, 80), k(DType::bf16, {n.kv, n.columns}, 1, 81),
        v(DType::bf16, {n.kv, n.columns}, 1, 82), q_bias(DType::bf16, {n.q}, 0, 83, 1.f),
        v_bias(DType::bf16, {n.kv}, 0, 84, 1.f);
    const std::pair<const Weight2*, const Weight2*> parts[] = {{&q, &q_bias}, {&k, nullptr}, {&v, &v_bias}};
    const Rows2 x(DType::bf16, {kMost, n.columns}, 85);
    for (const char* layout : kLayouts)
      for (const int64_t rows : {1, 64, 100, 256, 600}) {
        if ((layout != kLayouts[0] || n.q == 576) && rows != 100 && rows != 256) continue;
        if (layout != kLayouts[0] && n.q != 1024) continue;
        if (n.q == 4096 && rows != 600) continue;
        OpCase stack;
        stack.op = "linear/1", stack.attributes = to_attributes(Linear{}), stack.inputs = {first_rows(x, rows)};
        std::vector<Rows2> results, wanted;
        for (const auto& [weight, bias] : parts) {
          OpCase alone = stack;
          alone.weights = {weight, bias}, alone.layouts = {layout, ""};
          results.push_back(Rows2(DType::bf16, {rows, weight == &q ? n.q : n.kv}));
          wanted.push_back(alone.run(*gpu, "linear.cuda", {results.back()})[0]);
        }
        for (const auto& [weight, bias] : parts)
          stack.weights.insert(stack.weights.end(), {weight, bias}),
              stack.layouts.insert(stack.layouts.end(), {layout, ""});
        const auto space = kernel->space(stack.problem(*gpu, results));
        const auto found = stack.run_each(*gpu, "linear.cuda", space, results);
        for (size_t c = 0; c < space.size(); ++c)
          for (size_t i = 0; i < wanted.size(); ++i)
            CHECK_MESSAGE(found[c][i].bytes == wanted[i].bytes, layout, ", ", rows, " rows, part ", i, " of ", n.q,
                          ": ", to_string(space[c]));
      }
  }
}

TEST_CASE("recorded steps give the tokens of launched ones, while batches grow and shrink") {
  const auto gpu = open_gpu();
  if (gpu == nullptr) return;
  for (const char* name : {"llama-gqa", "gemma3-plain"}) {
    const auto golden = golden::read_case(kModels / name);
    REQUIRE_MESSAGE(golden.ok(), golden.status().message());
    std::vector<std::vector<int32_t>> all[2];
    for (const bool recorded : {false, true}) {
      LoadWish wish{.context = 256, .max_step_tokens = 64, .max_sequences = 8};
      wish.record_steps = recorded;
      auto model = load(*gpu, kModels / name, wish);
      REQUIRE_MESSAGE(model.ok(), model.status().message());
      PlanExecutor& executor = *model->executor;
      const auto step = [&](const std::vector<Rows>& rows) {
        auto out = executor.run(step_of(executor.limits(), rows));
        REQUIRE_MESSAGE(out.ok(), out.status().message());
        return out->ids;
      };
      std::vector<int32_t> last(8);
      const auto length = static_cast<int32_t>(golden->prompt.size());
      for (int32_t s = 0; s < 8; ++s) last[static_cast<size_t>(s)] = step({{golden->prompt, 0, s, false}}).back();
      int32_t position = length;
      for (const int32_t batch : {1, 3, 8, 3, 1, 8})
        for (int32_t t = 0; t < 6; ++t, ++position) {
          // Those that do not take part this time take part with what they had: positions must have no gap.
          for (int32_t begin = 0; begin < 8; begin += batch) {
            std::vector<Rows> rows;
            for (int32_t s = begin; s < std::min(begin + batch, 8); ++s)
              rows.push_back({{last[static_cast<size_t>(s)]}, position, s, false});
            const auto ids = step(rows);
            std::ranges::copy(ids, last.begin() + begin);
          }
          all[recorded].push_back(last);
        }
      if (recorded) CHECK(executor.recordings()->played() > 40);
    }
    CHECK(all[0] == all[1]);
  }
}
