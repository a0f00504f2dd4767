// One launch of an op by the CPU's oracle and by its CUDA kernel on the same numbers. [any thread]: launches take
// turns.
#pragma once
#include <algorithm>
#include <cmath>
#include <mutex>
#include <random>

#include "core/api/cpu_kernel.hpp"
#include "tests/gpu/models.hpp"
#include "tests/gpu/side_by_side.hpp"

namespace tare::gpu_test {

// A tensor in host memory, rows packed.
struct Rows2 {
  DType dtype = DType::bf16;
  std::vector<int64_t> sizes;  // [0]: rows
  std::vector<std::byte> bytes;
  Rows2(DType type, std::vector<int64_t> shape, uint32_t seed = 0, float deviation = 1)
      : dtype(type), sizes(std::move(shape)) {
    int64_t n = 1;
    for (const int64_t s : sizes) n *= s;
    bytes.resize(static_cast<size_t>(n * size_of(dtype)));
    if (dtype == DType::i32) return;
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, deviation);
    std::vector<float> row(static_cast<size_t>(n));
    for (float& x : row) x = seed == 0 ? 0 : normal(random);
    store_row(packed_view(bytes.data(), dtype, {1, n}), 0, row);
  }
  int64_t count() const { return std::ssize(bytes) / size_of(dtype); }
  TensorView view(void* data) const {
    TensorView v{.data = data, .dtype = dtype, .rank = 0, .sizes = {1, 1, 1, 1}, .row_stride = 0};
    for (const int64_t s : sizes) v.sizes[v.rank++] = s;
    v.row_stride = v.row_elements();
    return v;
  }
  TensorInfo info() const {
    TensorInfo out{{{1, Axis::tokens}}, dtype};
    for (size_t i = 1; i < sizes.size(); ++i) out.shape.push_back(sizes[i]);
    return out;
  }
  std::vector<float> values() {
    std::vector<float> out(static_cast<size_t>(count()));
    load_row(packed_view(bytes.data(), dtype, {1, count()}), 0, out);
    return out;
  }
};

struct Weight2 {
  WeightInfo info;
  std::vector<std::byte> bytes;  // plain
  Weight2(DType dtype, std::vector<int64_t> shape, int64_t input_dims, uint32_t seed, float deviation = 0.05f,
          float mean = 0) {
    info = {"w", dtype, {}, input_dims};
    int64_t n = 1;
    for (const int64_t s : shape) info.shape.push_back(s), n *= s;
    bytes.resize(static_cast<size_t>(n * size_of(dtype)));
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> row(static_cast<size_t>(n));
    for (float& x : row) x = normal(random);
    store_row(packed_view(bytes.data(), dtype, {1, n}), 0, row);
  }
};

// The step's facts for `launch`: tokens of one sequence from position 0 on, unless set otherwise.
struct Facts {
  std::vector<int32_t> token_ids, positions, sequence_begin, context_lengths, logit_row_tokens, pages;
  int64_t page_stride = 1;
};

class OpCase {
 public:
  std::string op;
  Attributes attributes;
  std::vector<Rows2> inputs;
  std::vector<const Weight2*> weights;  // null: absent
  std::vector<std::vector<float>> constants;
  std::optional<StateKind> state;
  std::vector<Shape> state_parts;
  int32_t page_tokens = 16, pages = 64;
  Facts facts;
  std::vector<std::string> layouts;  // by weight; "" or absent: dense/rows
  // An op behind it, run as one chain: by input, the first op's result that it takes, or -1 for one of `inputs`.
  struct Next {
    std::string op;
    Attributes attributes;
    std::vector<int32_t> takes;
    std::vector<Rows2> between;  // the first op's results, of which only the chain knows
  };
  std::optional<Next> next;

  Problem problem(Device& device, const std::vector<Rows2>& results) const {
    Problem p;
    p.device_kind = device.info().kind, p.features = device.info().features, p.units = device.info().units;
    p.rows = results[0].sizes[0], p.constants = constants;
    ProblemOp o;
    o.op = op, o.attributes = attributes, o.state = state;
    for (const Rows2& t : inputs) o.inputs.push_back(t.info());
    for (const Rows2& t : next ? next->between : results) o.results.push_back(t.info());
    for (const Weight2* w : weights) o.weights.push_back(w ? std::optional<WeightInfo>(w->info) : std::nullopt);
    p.ops = {o};
    if (next) {
      ProblemOp n;
      n.op = next->op, n.attributes = next->attributes, n.chain_results = next->takes;
      for (size_t i = 0, from = inputs.size() - static_cast<size_t>(std::ranges::count(next->takes, -1));
           i < next->takes.size(); ++i) {
        const int32_t taken = next->takes[i];
        if (taken >= 0 && n.chain_input < 0) n.chain_input = static_cast<int32_t>(i);
        n.inputs.push_back(taken < 0 ? p.ops[0].inputs[from++] : p.ops[0].results[static_cast<size_t>(taken)]);
      }
      p.ops[0].inputs.resize(inputs.size() - static_cast<size_t>(std::ranges::count(next->takes, -1)));
      for (const Rows2& t : results) n.results.push_back(t.info());
      p.ops.push_back(std::move(n));
    }
    return p;
  }

  // run() by each config, several at once: kernels take longer to compile than to run.
  std::vector<std::vector<Rows2>> run_each(Device& device, const char* kernel, const std::vector<KernelConfig>& configs,
                                           const std::vector<Rows2>& results) const {
    std::vector<std::vector<Rows2>> found(configs.size());
    SideBySide runs;
    for (size_t i = 0; i < configs.size(); ++i)
      runs.add([&, i] { found[i] = OpCase(*this).with(configs[i]).run(device, kernel, results); });
    runs.run();
    return found;
  }

  // Runs `kernel` on `device` and returns the results.
  std::vector<Rows2> run(Device& device, const char* kernel, std::vector<Rows2> results) const {
    const KernelCandidate* candidate = host().registry().kernel(kernel);
    REQUIRE_MESSAGE(candidate != nullptr, kernel);
    const Problem p = problem(device, results);
    const Verdict verdict = candidate->supports(p);
    REQUIRE_MESSAGE(verdict, kernel, ": ", verdict.reason);
    const KernelConfig config = config_ ? *config_ : candidate->fallback(p);
    auto instance = candidate->instance(device, p, config);
    REQUIRE_MESSAGE(instance.ok(), instance.status().message());

    auto stream = std::move(*device.create_stream());
    std::vector<std::unique_ptr<Buffer>> buffers;
    const auto allocate = [&](size_t bytes) {
      auto buffer = device.allocate(std::max<size_t>(bytes, 1), Purpose::staging, "test");
      REQUIRE_MESSAGE(buffer.ok(), buffer.status().message());
      buffers.push_back(std::move(*buffer));
      return buffers.back()->data();
    };
    const auto upload = [&](const void* from, size_t bytes) {
      void* const to = allocate(bytes);
      REQUIRE(device.copy_in(*stream, to, from, bytes).ok());
      REQUIRE(stream->synchronize().ok());
      return to;
    };
    const auto ints = [&](const std::vector<int32_t>& v) {
      return static_cast<const int32_t*>(upload(v.data(), v.size() * 4));
    };
    StepView step{};
    step.num_tokens = std::ssize(facts.positions), step.num_sequences = std::ssize(facts.context_lengths);
    step.num_logit_rows = std::ssize(facts.logit_row_tokens);
    step.token_ids = ints(facts.token_ids), step.positions = ints(facts.positions);
    step.sequence_begin = ints(facts.sequence_begin), step.context_lengths = ints(facts.context_lengths);
    step.logit_row_tokens = ints(facts.logit_row_tokens);
    const PageTable table{ints(facts.pages), facts.page_stride};
    step.page_tables = {&table, 1};
    std::vector<TensorView> in, out;
    for (const Rows2& t : inputs) in.push_back(t.view(upload(t.bytes.data(), t.bytes.size())));
    for (const Rows2& t : results) out.push_back(t.view(upload(t.bytes.data(), t.bytes.size())));
    std::vector<WeightView> w;
    std::vector<std::vector<std::byte>> laid(weights.size());
    for (size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] == nullptr) {
        w.emplace_back();
        continue;
      }
      const std::string id = i < layouts.size() && !layouts[i].empty() ? layouts[i] : "dense/rows";
      const Layout* layout = host().registry().layout(id);
      REQUIRE_MESSAGE(layout != nullptr, id);
      const WeightInfo& info = weights[i]->info;
      auto survey = layout->survey(info);
      REQUIRE(survey.ok());
      if (*survey != nullptr) {
        REQUIRE((*survey)->look(0, info.outputs(), weights[i]->bytes.data()).ok());
        auto plan = (*survey)->finish();
        REQUIRE(plan.ok());
        laid[i].resize(static_cast<size_t>((*plan)->bytes()));
        REQUIRE((*plan)->encode(0, info.outputs(), weights[i]->bytes.data(), laid[i].data()).ok());
      } else {
        laid[i].resize(static_cast<size_t>(layout->bytes(info)));
        REQUIRE(layout->encode(info, 0, info.outputs(), weights[i]->bytes.data(), laid[i].data()).ok());
      }
      w.push_back({.data = upload(laid[i].data(), laid[i].size()),
                   .bytes = std::ssize(laid[i]),
                   .layout = layout->id(),
                   .info = &info,
                   .decoder = layout,
                   .head = laid[i].data()});
    }
    StateView view;
    std::vector<StatePart> parts;
    int64_t page_bytes = 0;
    for (const Shape& part : state_parts) {
      const int64_t token = elements(part) * size_of(inputs[0].dtype);
      parts.push_back({page_bytes, token});
      page_bytes += token * page_tokens;
    }
    const std::vector<std::byte> zeros(static_cast<size_t>(page_bytes * pages));
    view = {.base = static_cast<std::byte*>(upload(zeros.data(), zeros.size())),
            .page_bytes = page_bytes,
            .page_tokens = page_tokens,
            .group = 0,
            .parts = parts};
    const auto scratch = static_cast<size_t>(candidate->scratch_bytes(p, config));
    const std::span<std::byte> room(static_cast<std::byte*>(allocate(scratch)), scratch);
    if (bind_) {
      const Status bound = (*instance)->bind(w);
      REQUIRE_MESSAGE(bound.ok(), bound.message());
    } else {
      for (WeightView& v : w)
        if (!device.host_addressable()) v.head = nullptr;
    }
    const std::lock_guard alone(launching_);
    const Status launched = (*instance)->launch({device, *stream, step, in, out, w, state ? &view : nullptr, room});
    REQUIRE_MESSAGE(launched.ok(), kernel, ": ", launched.message());
    for (size_t i = 0; i < results.size(); ++i)
      REQUIRE(device.copy_out(*stream, results[i].bytes.data(), out[i].data, results[i].bytes.size()).ok());
    const Status done = stream->synchronize();
    REQUIRE_MESSAGE(done.ok(), kernel, ": ", done.message());
    return results;
  }
  OpCase& with(KernelConfig config) { return config_ = std::move(config), *this; }
  OpCase& without_bind() { return bind_ = false, *this; }

 private:
  // Kernels whose blocks wait for each other must have the GPU for themselves.
  inline static std::mutex launching_;
  std::optional<KernelConfig> config_;
  bool bind_ = true;
};

// Largest difference, relative to 1 + |wanted|.
inline double difference(Rows2 found, Rows2 wanted) {
  const auto a = found.values(), b = wanted.values();
  double most = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    const double d = std::abs(double{a[i]} - double{b[i]}) / (1 + std::abs(double{b[i]}));
    most = std::isnan(d) ? INFINITY : std::max(most, d);
  }
  return most;
}

}  // namespace tare::gpu_test
