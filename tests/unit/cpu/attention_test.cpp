#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <random>

#include "core/api/cpu_targets.hpp"
#include "plugins/attention/attention.hpp"
#include "plugins/device_cpu/cpu_device.hpp"

namespace tare::attention {
namespace {

struct Shape4 {
  int64_t heads = 4, kv_heads = 2, d = 32, dv = 32;
};
struct Options {
  Shape4 shape{};
  DType dtype = DType::bf16;
  StateKind kind = full();
  float soft_cap = 0;
  int32_t page_tokens = 16;
};

// Some sequences with all their q, k, v, fed to a candidate in any cut into steps.
class Story {
 public:
  Story(Options options, std::vector<int64_t> lengths) : o_(options), lengths_(std::move(lengths)) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0, 1);
    for (const int64_t length : lengths_) {
      begins_.push_back(total_);
      total_ += length;
    }
    const auto fill = [&](std::vector<std::byte>& to, int64_t width) {
      to.resize(static_cast<size_t>(total_ * width * size_of(o_.dtype)));
      std::vector<float> row(static_cast<size_t>(width));
      for (int64_t t = 0; t < total_; ++t) {
        for (float& x : row) x = normal(random);
        store_row(packed_view(to.data(), o_.dtype, {total_, width}), t, row);
      }
    };
    fill(q_, q_width()), fill(k_, o_.shape.kv_heads * o_.shape.d), fill(v_, o_.shape.kv_heads * o_.shape.dv);
  }
  int64_t total() const { return total_; }
  int64_t out_width() const { return o_.shape.heads * o_.shape.dv; }

  Problem problem(const Device& device) const {
    Problem p;
    p.device_kind = "cpu", p.rows = total_;
    p.features = features ? *features : device.info().features;
    ProblemOp op;
    op.op = Attention::kOp;
    op.attributes =
        to_attributes(Attention{.scale = 1 / std::sqrt(static_cast<float>(o_.shape.d)), .soft_cap = o_.soft_cap});
    const auto tensor = [&](int64_t heads, int64_t width) {
      return TensorInfo{{{1, Axis::tokens}, heads, width}, o_.dtype};
    };
    op.inputs = {tensor(o_.shape.heads, o_.shape.d), tensor(o_.shape.kv_heads, o_.shape.d),
                 tensor(o_.shape.kv_heads, o_.shape.dv)};
    op.results = {tensor(o_.shape.heads, o_.shape.dv)};
    op.state = o_.kind;
    p.ops = {op};
    return p;
  }

  // All outputs in order of sequence and position. steps[i][s]: tokens of sequence s in step i. Memory behind the
  // tokens is NaN until it is written; pages that a window has left behind are taken away.
  std::vector<float> run(Device& device, const KernelCandidate& candidate,
                         const std::vector<std::vector<int64_t>>& steps) {
    const Problem p = problem(device);
    const Verdict verdict = candidate.supports(p);
    REQUIRE_MESSAGE(verdict, verdict.reason);
    auto instance = candidate.instance(device, p, {});
    REQUIRE(instance.ok());
    const int64_t element = size_of(o_.dtype), page_tokens = o_.page_tokens;
    const StatePart parts[] = {
        {64, o_.shape.kv_heads * o_.shape.d * element},
        {64 + page_tokens * o_.shape.kv_heads * o_.shape.d * element, o_.shape.kv_heads * o_.shape.dv * element}};
    const int64_t page_bytes = parts[1].offset + page_tokens * parts[1].token_bytes + 32;
    int64_t stride = 0, pages = 0;
    for (const int64_t length : lengths_) stride = std::max(stride, (length + page_tokens - 1) / page_tokens);
    std::vector<int32_t> table(lengths_.size() * static_cast<size_t>(stride), -1);
    for (size_t s = lengths_.size(); s-- > 0;)  // not in order
      for (int64_t i = 0; i < (lengths_[s] + page_tokens - 1) / page_tokens; ++i)
        table[s * static_cast<size_t>(stride) + static_cast<size_t>(i)] = static_cast<int32_t>(pages++);
    std::vector<std::byte> memory(static_cast<size_t>(pages * page_bytes), std::byte{0xff});  // NaN in BF16 and F32
    const StateView state{memory.data(), page_bytes, o_.page_tokens, 0, parts};

    std::vector<int64_t> done(lengths_.size(), 0);
    std::vector<float> out(static_cast<size_t>(total_ * out_width()));
    auto stream = device.create_stream();
    for (const auto& step_tokens : steps) {
      std::vector<int32_t> positions, begin{0}, contexts;
      std::vector<int64_t> rows;
      for (size_t s = 0; s < lengths_.size(); ++s) {
        for (int64_t i = 0; i < step_tokens[s]; ++i) {
          positions.push_back(static_cast<int32_t>(done[s] + i));
          rows.push_back(begins_[s] + done[s] + i);
        }
        if (o_.kind.kind == StateKind::window_)
          for (int64_t i = 0; (i + 1) * page_tokens <= done[s] + 1 - o_.kind.extent; ++i)
            table[s * static_cast<size_t>(stride) + static_cast<size_t>(i)] = -1;
        done[s] += step_tokens[s];
        begin.push_back(static_cast<int32_t>(positions.size())), contexts.push_back(static_cast<int32_t>(done[s]));
      }
      const auto count = static_cast<int64_t>(rows.size());
      const auto take = [&](const std::vector<std::byte>& from, int64_t width, int64_t gap) {
        std::vector<std::byte> to(static_cast<size_t>(count * (width + gap) * element));
        for (int64_t r = 0; r < count; ++r)
          std::memcpy(to.data() + r * (width + gap) * element,
                      from.data() + rows[static_cast<size_t>(r)] * width * element,
                      static_cast<size_t>(width * element));
        return to;
      };
      auto q = take(q_, q_width(), 8), k = take(k_, o_.shape.kv_heads * o_.shape.d, 8),
           v = take(v_, o_.shape.kv_heads * o_.shape.dv, 0);
      std::vector<std::byte> result(static_cast<size_t>(count * out_width() * element));
      TensorView inputs[] = {packed_view(q.data(), o_.dtype, {count, o_.shape.heads, o_.shape.d}),
                             packed_view(k.data(), o_.dtype, {count, o_.shape.kv_heads, o_.shape.d}),
                             packed_view(v.data(), o_.dtype, {count, o_.shape.kv_heads, o_.shape.dv})};
      inputs[0].row_stride += 8, inputs[1].row_stride += 8;
      const TensorView outputs[] = {packed_view(result.data(), o_.dtype, {count, o_.shape.heads, o_.shape.dv})};
      const PageTable page_table{table.data(), stride};
      StepView step;
      step.num_tokens = count, step.num_sequences = static_cast<int64_t>(lengths_.size());
      step.positions = positions.data(), step.sequence_begin = begin.data(), step.context_lengths = contexts.data();
      step.page_tables = {&page_table, 1};
      const Status status = (*instance)->launch({device, **stream, step, inputs, outputs, {}, &state, {}});
      REQUIRE_MESSAGE(status.ok(), status.message());
      for (int64_t r = 0; r < count; ++r)
        load_row(packed_view(result.data(), o_.dtype, {count, out_width()}), r,
                 {out.data() + rows[static_cast<size_t>(r)] * out_width(), static_cast<size_t>(out_width())});
    }
    return out;
  }
  std::vector<std::byte>& v() { return v_; }
  std::optional<std::vector<std::string>> features;  // in place of the device's

 private:
  int64_t q_width() const { return o_.shape.heads * o_.shape.d; }
  Options o_;
  std::vector<int64_t> lengths_, begins_;
  int64_t total_ = 0;
  std::vector<std::byte> q_, k_, v_;
};

std::unique_ptr<Device> open_cpu(int32_t threads) {
  auto device = cpu::make_cpu_provider()->open("cpu", {.threads = threads, .memory_bytes = int64_t{1} << 30});
  REQUIRE(device.ok());
  return std::move(device).value();
}
const KernelCandidate& fast_one(const std::vector<std::unique_ptr<KernelCandidate>>& all, const Problem& p) {
  return all[0]->supports(p) ? *all[0] : *all[1];
}
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    most = std::max(most, std::abs(double(a[i]) - b[i])), size = std::max(size, std::abs(double(b[i])));
  }
  return most / size;
}

const std::vector<Options>& variants() {
  static const std::vector<Options> all = {
      {},
      {.dtype = DType::f32},
      {.shape = {9, 3, 64, 64}},
      {.shape = {2, 2, 80, 48}, .dtype = DType::f32, .page_tokens = 7},
      {.shape = {8, 1, 128, 128}, .soft_cap = 20},
      {.shape = {4, 2, 20, 256}, .kind = window(50), .soft_cap = 5},
      {.dtype = DType::f32, .kind = window(1)},
      {.kind = chunk(48), .page_tokens = 64},
      {.shape = {3, 1, 17, 5}, .dtype = DType::f32, .kind = window(130)},
      {.shape = {40, 1, 64, 64}},
  };
  return all;
}

TEST_CASE("fast attention is close to the oracle") {
  auto device = open_cpu(2);
  const auto all = candidates();
  for (size_t i = 0; i < variants().size(); ++i) {
    CAPTURE(i);
    const Options& o = variants()[i];
    Story story(o, {70, 1, 150});
    const std::vector<std::vector<int64_t>> steps{{70, 1, 150}};
    const auto want = story.run(*device, *all.back(), steps);
    const auto got = story.run(*device, fast_one(all, story.problem(*device)), steps);
    CHECK(distance(got, want) < (o.dtype == DType::f32 ? 3e-6 : 8e-3));
  }
}

TEST_CASE("a row's bits do not depend on the cut into steps, the other sequences or the threads") {
  auto one = open_cpu(1), two = open_cpu(2), five = open_cpu(5);
  const auto all = candidates();
  for (size_t i = 0; i < variants().size(); ++i) {
    CAPTURE(i);
    Story story(variants()[i], {70, 1, 150});
    const KernelCandidate& fast = fast_one(all, story.problem(*one));
    const auto want = story.run(*one, fast, {{70, 1, 150}});
    CHECK(story.run(*two, fast, {{70, 1, 150}}) == want);
    CHECK(story.run(*five, fast, {{0, 0, 64}, {33, 0, 64}, {1, 1, 1}, {36, 0, 21}}) == want);
    std::vector<std::vector<int64_t>> by_token;
    for (int64_t t = 0; t < 150; ++t) by_token.push_back({t < 70, t == 10, 1});
    CHECK(story.run(*two, fast, by_token) == want);
  }
}

TEST_CASE("long contexts: chunks shared by threads give the bits of one thread") {
  auto one = open_cpu(1), five = open_cpu(5);
  const auto all = candidates();
  for (const StateKind kind : {full(), window(700)}) {
    Options o{.shape = {4, 1, 16, 16}, .dtype = DType::f32, .kind = kind};
    Story story(o, {1500});
    const KernelCandidate& fast = fast_one(all, story.problem(*one));
    std::vector<std::vector<int64_t>> steps{{1490}};
    for (int i = 0; i < 10; ++i) steps.push_back({1});
    const auto want = story.run(*one, fast, steps);
    CHECK(story.run(*five, fast, steps) == want);
    CHECK(story.run(*five, fast, {{1000}, {500}}) == want);
    CHECK(distance(want, story.run(*five, *all.back(), steps)) < 3e-6);
  }
}

TEST_CASE("older instruction sets keep the promise too, under an id of their own") {
  auto device = open_cpu(2);
  const auto all = candidates();
  for (const auto& features :
       {std::vector<std::string>{}, {"sse4_1", "sse4_2", "ssse3"}, {"avx2", "bmi2", "f16c", "fma"}}) {
    for (const DType dtype : {DType::bf16, DType::f32}) {
      Story story({.dtype = dtype, .soft_cap = 10}, {100, 30});
      if (features.size() > 3 && story.problem(*device).features.size() < 8) continue;  // no AVX2 here
      story.features = features;
      const KernelCandidate& fast = fast_one(all, story.problem(*device));
      const bool fma = has_fma(best_cpu_target(features));
      CHECK(fast.numerics(story.problem(*device)) == (fma ? "blocks64-fma" : "blocks64-mul-add"));
      const auto got = story.run(*device, fast, {{100, 30}});
      CHECK(story.run(*device, fast, {{99, 0}, {1, 30}}) == got);
      CHECK(distance(got, story.run(*device, *all.back(), {{100, 30}})) < (dtype == DType::f32 ? 3e-6 : 8e-3));
      if (!fma) continue;
      story.features.reset();
      CHECK(story.run(*device, fast, {{100, 30}}) == got);  // AVX2 and AVX-512 agree
    }
  }
}

TEST_CASE("NaN in a value reaches the tokens that see it and no earlier ones") {
  auto device = open_cpu(2);
  const auto all = candidates();
  Options o{.dtype = DType::f32};
  Story story(o, {100});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(story.v().data() + 80 * 64 * 4, &nan, 4);
  const auto out = story.run(*device, fast_one(all, story.problem(*device)), {{80}, {20}});
  const auto width = static_cast<size_t>(story.out_width());
  for (size_t t = 0; t < 100; ++t) CHECK(std::isnan(out[t * width]) == (t >= 80));
}

TEST_CASE("every no has its reason") {
  auto device = open_cpu(1);
  const auto all = candidates();
  Options wide{.shape = {1, 1, 300, 300}};
  Problem p = Story(wide, {1}).problem(*device);
  p.features = {"avx2", "bmi2", "f16c", "fma"};
  CHECK(all[0]->supports(p).reason == "heads are 300 wide, at most 256");
  CHECK(all[1]->supports(p).reason == "the CPU has FMA, whose sums round otherwise");
  p.features = {};
  CHECK(all[0]->supports(p).reason == "the CPU has no FMA");
  CHECK(all[2]->supports(p));
}

}  // namespace
}  // namespace tare::attention
