// norm.cpu: vectors over each row, threads over rows. The weights become floats at an instance's first launch: their
// memory does not change afterwards.
#include "core/api/cpu_targets.hpp"
#include "plugins/norm/norm.hpp"
#include "plugins/norm/rows.hpp"

namespace tare::norm {
namespace {

class FastNorm final : public Instance {
 public:
  FastNorm(const Norm& op, RowFunction function, CpuParallel& parallel)
      : op_(op), function_(function), parallel_(parallel) {}

  Status launch(const Launch& launch) noexcept override {
    try {
      return run(launch);
    } catch (const std::bad_alloc&) {
      return Status(Code::exhausted, "norm/1: the process is out of memory");
    }
  }

 private:
  // A small weight as floats, kept as long as it lies where it lay.
  struct Kept {
    const void* from = nullptr;
    int64_t width = 0;
    std::vector<float> values;  // rounded up to 16, or empty
    Status refresh(const WeightView& weight, float offset) {
      if (weight.info == nullptr || weight.data == from) return {};
      TARE_ASSIGN_OR_RETURN(values, load_weight(weight));
      width = std::ssize(values);
      for (float& v : values) v += offset;
      values.resize(static_cast<size_t>((width + kSumLanes - 1) / kSumLanes * kSumLanes), 0.0f);
      from = weight.data;
      return {};
    }
    const float* data() const noexcept { return values.empty() ? nullptr : values.data(); }
  };

  Status run(const Launch& launch) {
    const TensorView &x = launch.inputs[0], &out = launch.outputs[0];
    TARE_RETURN_IF_ERROR(scale_.refresh(launch.weights[0], op_.offset));
    TARE_RETURN_IF_ERROR(bias_.refresh(launch.weights[1], 0.0f));
    const int64_t elements = x.row_elements(), width = scale_.width != 0 ? scale_.width : x.sizes[x.rank - 1];
    if (width <= 0 || elements % width != 0 || out.row_elements() != elements ||
        (bias_.width != 0 && bias_.width != width))
      return Status(Code::internal, text("norm: rows of ", elements, " elements, weights of ", width));
    const Row same{.x_bf16 = x.dtype == DType::bf16,
                   .out_bf16 = out.dtype == DType::bf16,
                   .groups = elements / width,
                   .width = width,
                   .scale = scale_.data(),
                   .bias = bias_.data(),
                   .layer = op_.kind == Norm::Kind::layer,
                   .eps = op_.eps};
    const auto body = [&](int64_t begin, int64_t end, int32_t) {
      Row row = same;
      for (int64_t r = begin; r < end; ++r) {
        row.x = x.row<std::byte>(0) + r * x.row_stride * size_of(x.dtype);
        row.out = out.row<std::byte>(0) + r * out.row_stride * size_of(out.dtype);
        function_(row);
      }
    };
    if (x.rows() == 1)
      body(0, 1, 0);
    else
      parallel_.run(x.rows(), std::max<int64_t>(1, kGrain / elements), body);
    return {};
  }

  static constexpr int64_t kGrain = 32768;  // elements that are worth waking a thread
  Norm op_;
  RowFunction function_;
  CpuParallel& parallel_;
  Kept scale_, bias_;
};

class Candidate final : public KernelCandidate {
 public:
  std::string_view id() const noexcept override { return "norm.cpu"; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  std::vector<std::string> takes() const override { return {std::string(Norm::kOp)}; }
  std::string numerics(const Problem&) const override { return "lanes16"; }
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return {"*"}; }
  KernelConfig fallback(const Problem&) const override { return {}; }
  Verdict supports(const Problem& problem) const noexcept override {
    const auto op = from_attributes<Norm>(problem.first().attributes);
    return op.ok() ? norm::supports(*op, problem) : Verdict::no(op.status().message());
  }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig&) const override {
    TARE_ASSIGN_OR_RETURN(const Norm op, from_attributes<Norm>(problem.first().attributes));
    auto* parallel = static_cast<CpuParallel*>(device.query(CpuParallel::kInterface));
    if (parallel == nullptr) return Status(Code::unsupported, "norm.cpu: the device has no cpu_parallel/1");
    return std::unique_ptr<Instance>(
        std::make_unique<FastNorm>(op, row_function(best_cpu_target(problem.features)), *parallel));
  }
};

}  // namespace

std::unique_ptr<KernelCandidate> fast_candidate() { return std::make_unique<Candidate>(); }

}  // namespace tare::norm
