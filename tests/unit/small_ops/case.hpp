// One launch of a kernel over random rows, for the tests of the small ops. Tensors have gaps between rows, which no
// kernel may touch, and may be F32 or BF16 each.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"
#include "plugins/device_cpu/cpu_device.hpp"

namespace tare::small_ops {

inline std::unique_ptr<Device> open_cpu(int32_t threads) {
  auto device = cpu::make_cpu_provider()->open("cpu", {.threads = threads, .memory_bytes = int64_t{1} << 28});
  REQUIRE(device.ok());
  return std::move(device).value();
}
inline const std::vector<int64_t>& widths() {
  static const std::vector<int64_t> all{1, 2, 7, 16, 64, 100, 576, 2048};
  return all;
}
// Feature lists of older CPUs, the newest being this one's own; those that this CPU lacks are left out.
inline std::vector<std::vector<std::string>> feature_lists(const Device& device) {
  std::vector<std::vector<std::string>> out;
  for (std::vector<std::string> list :
       {std::vector<std::string>{}, {"sse4_1", "sse4_2", "ssse3"}, {"avx2", "bmi2", "f16c", "fma"}}) {
    const auto& have = device.info().features;
    bool all = true;
    for (const std::string& f : list) all = all && std::find(have.begin(), have.end(), f) != have.end();
    if (all) out.push_back(std::move(list));
  }
  out.push_back(device.info().features);
  return out;
}

// A tensor with memory of its own; rows lie 3 elements further apart than they are long.
class RowsOf {
 public:
  static constexpr int64_t kGap = 3;
  RowsOf(DType dtype, int64_t rows, std::vector<int64_t> sizes) : dtype_(dtype), rows_(rows), sizes_(std::move(sizes)) {
    memory_.assign(static_cast<size_t>(rows * (width() + kGap) * size_of(dtype)), std::byte{0xff});
  }
  int64_t width() const {
    int64_t n = 1;
    for (const int64_t size : sizes_) n *= size;
    return n;
  }
  int64_t rows() const { return rows_; }
  DType dtype() const { return dtype_; }
  TensorView view() {
    TensorView v{.data = memory_.data(), .dtype = dtype_, .rank = 1, .row_stride = width() + kGap};
    v.sizes[0] = rows_;
    for (const int64_t size : sizes_) v.sizes[v.rank++] = size;
    return v;
  }
  TensorInfo info() const {
    TensorInfo out{{{1, Axis::tokens}}, dtype_};
    for (const int64_t size : sizes_) out.shape.push_back(size);
    return out;
  }
  RowsOf& fill(uint32_t seed, float deviation = 1) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, deviation);
    std::vector<float> row(static_cast<size_t>(width()));
    for (int64_t r = 0; r < rows_; ++r) {
      for (float& x : row) x = normal(random);
      store_row(view(), r, row);
    }
    return *this;
  }
  void set(int64_t r, int64_t i, float value) {
    auto row = values(r);
    row[static_cast<size_t>(i)] = value;
    store_row(view(), r, row);
  }
  std::vector<float> values(int64_t r) {
    std::vector<float> out(static_cast<size_t>(width()));
    load_row(view(), r, out);
    return out;
  }
  RowsOf row_alone(int64_t r) {
    RowsOf out(dtype_, 1, sizes_);
    store_row(out.view(), 0, values(r));
    return out;
  }
  const std::vector<std::byte>& bytes() const { return memory_; }
  // The bytes of one row: what "the same bits" means.
  std::vector<std::byte> row_bytes(int64_t r) const {
    const auto stride = static_cast<size_t>((width() + kGap) * size_of(dtype_));
    const auto from = memory_.begin() + r * static_cast<int64_t>(stride);
    return {from, from + width() * size_of(dtype_)};
  }
  bool gaps_untouched() const {
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t i = width() * size_of(dtype_); i < (width() + kGap) * size_of(dtype_); ++i)
        if (memory_[static_cast<size_t>(r * (width() + kGap) * size_of(dtype_) + i)] != std::byte{0xff}) return false;
    return true;
  }

 private:
  DType dtype_;
  int64_t rows_;
  std::vector<int64_t> sizes_;
  std::vector<std::byte> memory_;
};

// A plain row-major weight; reads itself out as a layout does.
class PlainWeight final : public Layout {
 public:
  PlainWeight(DType dtype, int64_t outputs, int64_t inputs, std::string_view id = "dense/rows")
      : info_{"weight", dtype, outputs == 0 ? Shape{inputs} : Shape{outputs, inputs}, outputs == 0 ? 0 : 1},
        id_(id),
        tensor_(static_cast<size_t>(std::max<int64_t>(1, outputs) * inputs * size_of(dtype))) {
    std::mt19937 random(99);
    std::normal_distribution<float> normal(1, 0.5f);
    std::vector<float> row(static_cast<size_t>(std::max<int64_t>(1, outputs) * inputs));
    for (float& x : row) x = normal(random);
    store_row(packed_view(tensor_.data(), dtype, {1, std::ssize(row)}), 0, row);
  }
  const WeightInfo& info() const { return info_; }
  WeightView view() const { return {tensor_.data(), std::ssize(tensor_), id_, &info_, this}; }
  std::string_view id() const noexcept override { return id_; }
  Verdict supports(const WeightInfo&) const noexcept override { return Verdict::yes(); }
  int64_t bytes(const WeightInfo&) const noexcept override { return std::ssize(tensor_); }
  Status encode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override {
    return Status(Code::unsupported, "the test encodes nothing");
  }
  Status decode(const WeightInfo& weight, int64_t begin, int64_t end, const void* in, void* plain) const override {
    decodes.fetch_add(1);
    const int64_t row = elements(weight.shape) / weight.outputs() * size_of(weight.dtype);
    std::memcpy(plain, static_cast<const std::byte*>(in) + begin * row, static_cast<size_t>((end - begin) * row));
    return {};
  }
  mutable std::atomic<int> decodes = 0;

 private:
  WeightInfo info_;
  std::string_view id_;
  std::vector<std::byte> tensor_;
};

struct Case {
  std::string op;
  Attributes attributes;
  std::vector<RowsOf> inputs;
  std::vector<const PlainWeight*> weights = {};  // null: absent
  std::vector<std::vector<float>> constants = {};
  StepView step{};

  Problem problem(const Device& device, const RowsOf& out) const {
    Problem p;
    p.device_kind = "cpu", p.features = features ? *features : device.info().features, p.rows = out.rows();
    p.constants = constants;
    ProblemOp o;
    o.op = op, o.attributes = attributes, o.results = {out.info()};
    for (const RowsOf& t : inputs) o.inputs.push_back(t.info());
    for (const PlainWeight* w : weights)
      o.weights.push_back(w == nullptr ? std::nullopt : std::optional<WeightInfo>(w->info()));
    p.ops = {o};
    return p;
  }
  std::optional<std::vector<std::string>> features = {};

  std::unique_ptr<Instance> instance(Device& device, const KernelCandidate& candidate, const RowsOf& out) const {
    const Problem p = problem(device, out);
    const Verdict verdict = candidate.supports(p);
    REQUIRE_MESSAGE(verdict, verdict.reason);
    auto made = candidate.instance(device, p, {});
    REQUIRE(made.ok());
    return std::move(made).value();
  }
  Status launch(Device& device, Instance& instance, RowsOf& out) {
    std::vector<TensorView> in;
    for (RowsOf& t : inputs) in.push_back(t.view());
    std::vector<WeightView> w;
    for (const PlainWeight* weight : weights) w.push_back(weight == nullptr ? WeightView{} : weight->view());
    const TensorView outputs[] = {out.view()};
    auto stream = device.create_stream();
    return instance.launch({device, **stream, step, in, outputs, w, nullptr, {}});
  }
  RowsOf run(Device& device, const KernelCandidate& candidate, RowsOf out) {
    auto made = instance(device, candidate, out);
    const Status status = launch(device, *made, out);
    REQUIRE_MESSAGE(status.ok(), status.message());
    CHECK(out.gaps_untouched());
    return out;
  }
};

// The place of a float among all floats, in order of value: neighbours differ by 1.
inline int64_t place(float x) {
  const int32_t bits = std::bit_cast<int32_t>(x);
  return bits < 0 ? -static_cast<int64_t>(bits & 0x7fffffff) : bits;
}
// Units in the last place of the type between a and b; NaN equals NaN.
inline int64_t ulps(float a, float b, DType dtype) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : std::numeric_limits<int64_t>::max();
  return std::abs(place(a) - place(b)) >> (dtype == DType::bf16 ? 16 : 0);
}
inline int64_t most_ulps(RowsOf a, RowsOf b) {
  int64_t most = 0;
  for (int64_t r = 0; r < a.rows(); ++r) {
    const auto x = a.values(r), y = b.values(r);
    for (size_t i = 0; i < x.size(); ++i) most = std::max(most, ulps(x[i], y[i], a.dtype()));
  }
  return most;
}

}  // namespace tare::small_ops
