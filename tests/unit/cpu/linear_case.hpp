// A linear problem with its numbers, run through any candidate on the CPU device: what the tests of products share.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/api/kernel.hpp"
#include "core/api/ops.hpp"
#include "plugins/device_cpu/cpu_device.hpp"
#include "plugins/linear/cpu_candidate.hpp"
#include "plugins/linear/cpu_layouts.hpp"
#include "plugins/linear/cpu_tiles.hpp"

namespace tare::linear::test {

inline std::unique_ptr<Device> open_cpu(int32_t threads) {
  auto device = cpu::make_cpu_provider()->open("cpu", {.threads = threads, .memory_bytes = int64_t{4} << 30});
  REQUIRE(device.ok());
  return std::move(device).value();
}

// A matrix (or bias) as plain numbers and as it lies for a kernel.
struct Stored {
  WeightInfo info;
  std::vector<std::byte> plain;

  const Layout& layout(std::string_view id) const {
    static const auto rows = make_rows_layout(), tiles = make_cpu_tiles_layout();
    return id == kCpuTiles ? *tiles : *rows;
  }
  // 64-byte aligned bytes in the layout.
  std::vector<std::byte> encoded(std::string_view id, size_t& offset) const {
    const Layout& l = layout(id);
    std::vector<std::byte> out(static_cast<size_t>(l.bytes(info)) + 64, std::byte{0xee});
    offset = (64 - reinterpret_cast<uintptr_t>(out.data()) % 64) % 64;
    REQUIRE(l.encode(info, 0, info.outputs(), plain.data(), out.data() + offset).ok());
    return out;
  }
};
inline void put(std::vector<std::byte>& to, size_t at, DType dtype, float value) {
  if (dtype == DType::f32) {
    std::memcpy(to.data() + at * 4, &value, 4);
  } else {
    const bf16 b = to_bf16(value);
    std::memcpy(to.data() + at * 2, &b, 2);
  }
}
inline float get(const std::vector<std::byte>& from, size_t at, DType dtype) {
  if (dtype == DType::f32) {
    float value;
    std::memcpy(&value, from.data() + at * 4, 4);
    return value;
  }
  bf16 b;
  std::memcpy(&b, from.data() + at * 2, 2);
  return to_float(b);
}

struct CaseOptions {
  std::vector<int64_t> outputs{64};
  int64_t inputs = 64;
  DType x = DType::bf16, weight = DType::bf16, out = DType::bf16;
  bool bias = false;
  Tail tail = Tail::none;
  Activation activation = Activation::silu;
  bool swapped = false;  // gated: gate and up the other way round
  int64_t row_gap = 0;   // elements between the rows of every tensor
  uint32_t seed = 1;
};

class Case {
 public:
  Case(CaseOptions options, int64_t most_rows) : o_(std::move(options)) {
    std::mt19937 random(o_.seed);
    std::normal_distribution<float> normal(0, 1);
    const auto fill = [&](std::vector<std::byte>& bytes, size_t count, DType dtype, float scale) {
      bytes.resize(count * static_cast<size_t>(size_of(dtype)));
      for (size_t i = 0; i < count; ++i) put(bytes, i, dtype, normal(random) * scale);
    };
    const float scale = o_.inputs == 0 ? 1 : 1 / std::sqrt(static_cast<float>(o_.inputs));
    for (const int64_t n : o_.outputs) {
      weights_.push_back({{"w", o_.weight, {n, o_.inputs}, 1}, {}});
      fill(weights_.back().plain, static_cast<size_t>(n * o_.inputs), o_.weight, scale);
      biases_.push_back({{"b", o_.weight, {n}, 0}, {}});
      fill(biases_.back().plain, static_cast<size_t>(n), o_.weight, 1);
    }
    x_stride_ = o_.inputs + o_.row_gap;
    fill(x_, static_cast<size_t>(most_rows * x_stride_), o_.x, 1);
    residual_stride_ = o_.outputs[0] + o_.row_gap;
    fill(residual_, static_cast<size_t>(most_rows * residual_stride_), o_.out, 1);
  }

  std::vector<std::byte>& x() { return x_; }
  int64_t x_stride() const { return x_stride_; }
  Stored& weight(size_t i) { return weights_[i]; }

  Problem problem(const Device& device, int64_t rows) const {
    Problem p;
    p.device_kind = "cpu", p.features = device.info().features, p.rows = rows;
    ProblemOp product;
    product.op = Linear::kOp;
    product.attributes = to_attributes(Linear{.f32 = o_.out == DType::f32 && o_.x != DType::f32});
    product.inputs = {{{{1, Axis::tokens}, o_.inputs}, o_.x}};
    for (size_t i = 0; i < weights_.size(); ++i) {
      product.results.push_back({{{1, Axis::tokens}, o_.outputs[i]}, o_.out});
      product.weights.emplace_back(weights_[i].info);
      product.weights.emplace_back();
      if (o_.bias) product.weights.back() = biases_[i].info;
    }
    p.ops.push_back(product);
    if (o_.tail != Tail::none) {
      ProblemOp tail;
      tail.op = o_.tail == Tail::add ? Add::kOp : Gated::kOp;
      tail.attributes = o_.tail == Tail::add ? Attributes{} : to_attributes(Gated{o_.activation});
      tail.inputs = {product.results[0], product.results[0]}, tail.results = {product.results[0]};
      tail.chain_input = 0;
      tail.chain_results = o_.tail == Tail::add ? std::vector<int32_t>{0, -1}
                           : o_.swapped         ? std::vector<int32_t>{1, 0}
                                                : std::vector<int32_t>{0, 1};
      p.ops.push_back(tail);
    }
    return p;
  }

  // The results' rows, packed, one vector of bytes an output. `first`: the row of x to begin with.
  std::vector<std::vector<std::byte>> run(Device& device, const KernelCandidate& candidate, int64_t rows,
                                          int64_t first = 0, const KernelConfig* config = nullptr,
                                          int64_t bucket_rows = 0) {
    const Problem p = problem(device, bucket_rows == 0 ? rows : bucket_rows);
    const Verdict verdict = candidate.supports(p);
    REQUIRE_MESSAGE(verdict, verdict.reason);
    const KernelConfig used = config == nullptr ? candidate.fallback(p) : *config;
    const Verdict accepted = candidate.accepts(p, used);
    REQUIRE_MESSAGE(accepted, accepted.reason);
    auto instance = candidate.instance(device, p, used);
    REQUIRE_MESSAGE(instance.ok(), instance.status().message());

    std::vector<std::vector<std::byte>> stored;
    std::vector<WeightView> views;
    for (size_t i = 0; i < weights_.size(); ++i)
      for (const Stored* s : {&weights_[i], &biases_[i]}) {
        if (s == &biases_[i] && !o_.bias) {
          views.emplace_back();
          continue;
        }
        std::string id = candidate.layouts(p, 0, 2 * i + (s == &biases_[i] ? 1 : 0)).front();
        if (id == "*") id = kRows;
        size_t offset = 0;
        stored.push_back(s->encoded(id, offset));
        views.push_back({stored.back().data() + offset, static_cast<int64_t>(stored.back().size() - 64),
                         s->layout(id).id(), &s->info, &s->layout(id)});
      }
    std::vector<TensorView> inputs{view(x_, o_.x, rows, o_.inputs, x_stride_, first)};
    if (o_.tail == Tail::add) inputs.push_back(view(residual_, o_.out, rows, o_.outputs[0], residual_stride_, first));
    const size_t results = o_.tail == Tail::none ? o_.outputs.size() : 1;
    std::vector<std::vector<std::byte>> wide(results);
    std::vector<TensorView> outputs;
    for (size_t i = 0; i < results; ++i) {
      const int64_t stride = o_.outputs[i] + o_.row_gap;
      wide[i].assign(static_cast<size_t>(rows * stride * size_of(o_.out)), std::byte{0x77});
      outputs.push_back(view(wide[i], o_.out, rows, o_.outputs[i], stride, 0));
    }
    std::vector<std::byte> scratch(static_cast<size_t>(candidate.scratch_bytes(p, used)), std::byte{0xff});
    auto stream = device.create_stream();
    StepView step;
    const Status status = (*instance)->launch({device, **stream, step, inputs, outputs, views, nullptr, scratch});
    REQUIRE_MESSAGE(status.ok(), status.message());

    std::vector<std::vector<std::byte>> out(results);
    for (size_t i = 0; i < results; ++i) {
      const int64_t stride = (o_.outputs[i] + o_.row_gap) * size_of(o_.out), row = o_.outputs[i] * size_of(o_.out);
      for (int64_t r = 0; r < rows; ++r) {
        const auto* from = wide[i].data() + r * stride;
        out[i].insert(out[i].end(), from, from + row);
        for (int64_t gap = row; gap < stride; ++gap) REQUIRE(from[gap] == std::byte{0x77});  // not ours to write
      }
    }
    return out;
  }
  const CaseOptions& options() const { return o_; }
  float residual_at(int64_t row, int64_t output) const {
    return get(residual_, static_cast<size_t>(row * residual_stride_ + output), o_.out);
  }

 private:
  static TensorView view(std::vector<std::byte>& bytes, DType dtype, int64_t rows, int64_t width, int64_t stride,
                         int64_t first) {
    TensorView v = packed_view(bytes.data() + first * stride * size_of(dtype), dtype, {rows, width});
    v.row_stride = stride;
    return v;
  }
  CaseOptions o_;
  int64_t x_stride_ = 0, residual_stride_ = 0;
  std::vector<Stored> weights_, biases_;
  std::vector<std::byte> x_, residual_;
};

struct Backend {
  std::string name;
  std::shared_ptr<const CpuBackend> backend;
};
inline std::vector<Backend> backends() {
  return {{"AMX-BF16", make_amx_backend()},
          {"AVX512-BF16", make_avx512_bf16_backend()},
          {"Highway", make_highway_backend()}};
}
// Prints "skipped: no AMX-BF16" and returns false where the CPU cannot run it.
inline bool runs_here(const Backend& b, const KernelCandidate& candidate, const Problem& problem) {
  const Verdict verdict = candidate.supports(problem);
  if (verdict) return true;
  MESSAGE("skipped: no " << b.name << " (" << verdict.reason << ")");
  return false;
}

}  // namespace tare::linear::test
