// Small honest parts that the test plugins register: a kernel that doubles nothing, a layout that keeps rows as they
// are, a family with one entry.
#pragma once
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/api/api.hpp"

namespace tare::test {

class CopyInstance final : public Instance {
 public:
  Status launch(const Launch& launch) noexcept override {
    const TensorView &in = launch.inputs[0], &out = launch.outputs[0];
    for (int64_t r = 0; r < in.rows(); ++r)
      std::memcpy(out.row<std::byte>(r * size_of(out.dtype)), in.row<std::byte>(r * size_of(in.dtype)),
                  static_cast<size_t>(in.row_elements() * size_of(in.dtype)));
    return {};
  }
};

class CopyKernel : public KernelCandidate {
 public:
  CopyKernel(std::string id, std::string op) : id_(std::move(id)), op_(std::move(op)) {}
  std::string_view id() const noexcept override { return id_; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  std::vector<std::string> takes() const override { return {op_}; }
  Verdict supports(const Problem& problem) const noexcept override {
    if (problem.device_kind != "cpu") return Verdict::no("device is ", problem.device_kind, ", expected cpu");
    if (problem.ops.size() != 1 || problem.first().op != op_) return Verdict::no("takes ", op_, " alone");
    if (problem.first().inputs.size() != 1) return Verdict::no(problem.first().inputs.size(), " inputs, expected 1");
    return Verdict::yes();
  }
  std::string numerics(const Problem&) const override { return "copy"; }
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return {}; }
  KernelConfig fallback(const Problem&) const override { return {{"step", int64_t{1}}}; }
  Verdict accepts(const Problem&, const KernelConfig& config) const noexcept override {
    return config.size() == 1 && config[0].name == "step" ? Verdict::yes() : Verdict::no("expected {step}");
  }
  Result<std::unique_ptr<Instance>> instance(Device&, const Problem&, const KernelConfig&) const override {
    return std::unique_ptr<Instance>(std::make_unique<CopyInstance>());
  }

 private:
  std::string id_, op_;
};

class RowsLayout : public Layout {
 public:
  explicit RowsLayout(std::string id) : id_(std::move(id)) {}
  std::string_view id() const noexcept override { return id_; }
  Verdict supports(const WeightInfo& weight) const noexcept override {
    return weight.dtype == DType::bf16 ? Verdict::yes()
                                       : Verdict::no("dtype is ", name(weight.dtype), ", expected bf16");
  }
  int64_t bytes(const WeightInfo& weight) const noexcept override {
    return weight.outputs() * weight.inputs() * size_of(weight.dtype);
  }
  Status encode(const WeightInfo& weight, int64_t begin, int64_t end, const void* plain, void* out) const override {
    const int64_t row = weight.inputs() * size_of(weight.dtype);
    std::memcpy(static_cast<std::byte*>(out) + begin * row, plain, static_cast<size_t>((end - begin) * row));
    return {};
  }
  Status decode(const WeightInfo& weight, int64_t begin, int64_t end, const void* in, void* plain) const override {
    const int64_t row = weight.inputs() * size_of(weight.dtype);
    std::memcpy(plain, static_cast<const std::byte*>(in) + begin * row, static_cast<size_t>((end - begin) * row));
    return {};
  }

 private:
  std::string id_;
};

inline void trace_nothing(const Config& config, Graph& graph) {
  const int64_t hidden = config.count("hidden_size");
  graph.output("logits", graph.embed(graph.weight("embed", {{8, Axis::vocab}, hidden})));
}
inline ModelFamily family(std::string id, std::string architecture) {
  return {.id = std::move(id),
          .architectures = {std::move(architecture)},
          .entries = {{"text", trace_nothing}},
          .config_keys = {"hidden_size"},
          .gguf = {}};
}

}  // namespace tare::test
