#include "table_kernel.hpp"

#include <cmath>
#include <new>
#include <vector>

namespace org_example {
namespace {
using tare::Activate;
using tare::DType;
using tare::KernelConfig;
using tare::Problem;
using tare::TensorView;
using tare::Verdict;

// What the tuner may choose: how many rows a thread takes at once. Printed, stored and compared as it stands.
struct TableConfig {
  int64_t rows_at_once = 16;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("rows_at_once", self.rows_at_once);
  }
};

// What runs. One thread launches it at a time; it must not throw, and it owns nothing of the launch.
class TableInstance final : public tare::Instance {
 public:
  TableInstance(tare::Activation activation, TableConfig config, tare::CpuParallel& parallel)
      : config_(config), parallel_(parallel), table_(1 << 16) {
    for (uint32_t bits = 0; bits < table_.size(); ++bits)
      table_[bits] = tare::to_bf16(activated(tare::to_float(tare::bf16{static_cast<uint16_t>(bits)}), activation));
  }

  tare::Status launch(const tare::Launch& launch) noexcept override {
    const TensorView &x = launch.inputs[0], &out = launch.outputs[0];
    const int64_t width = out.row_elements();
    parallel_.run(out.rows(), config_.rows_at_once, [&](int64_t begin, int64_t end, int32_t) {
      for (int64_t r = begin; r < end; ++r) {
        const tare::bf16* from = x.row<const tare::bf16>(r);
        tare::bf16* to = out.row<tare::bf16>(r);
        for (int64_t i = 0; i < width; ++i) to[i] = table_[from[i].bits];
      }
    });
    return {};
  }

 private:
  TableConfig config_;
  tare::CpuParallel& parallel_;
  std::vector<tare::bf16> table_;
};

class TableKernel final : public tare::KernelCandidate {
 public:
  std::string_view id() const noexcept override { return "org.example.activate.table"; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  std::vector<std::string> takes() const override { return {std::string(Activate::kOp)}; }

  // Every "no" has its reason: `tare explain` prints it. Answers from the problem alone, for anything it is asked.
  Verdict supports(const Problem& problem) const noexcept override {
    const tare::ProblemOp& op = problem.first();
    if (op.inputs.size() != 1 || op.results.size() != 1)
      return Verdict::no(op.inputs.size(), " inputs and ", op.results.size(), " results, expected one of each");
    for (const tare::TensorInfo* tensor : {&op.inputs[0], &op.results[0]})
      if (tensor->dtype != DType::bf16)
        return Verdict::no("a tensor is ", name(tensor->dtype), ", expected bf16: other types have no table");
    if (const auto parsed = tare::from_attributes<Activate>(op.attributes); !parsed.ok())
      return Verdict::no(parsed.status().message());
    return Verdict::yes();
  }
  // No sums, one rounding where the op's definition has it: the same bits as every other exact kernel.
  std::string numerics(const Problem&) const override { return "exact"; }
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return {}; }  // it has no weights

  KernelConfig fallback(const Problem&) const override { return tare::to_attributes(TableConfig{}); }
  std::vector<KernelConfig> space(const Problem& problem) const override {
    std::vector<KernelConfig> out;
    for (int64_t rows = 1; rows <= 64 && (rows == 1 || rows <= problem.rows); rows *= 4)
      out.push_back(tare::to_attributes(TableConfig{rows}));
    return out;
  }
  // Guards configs out of somebody's database.
  Verdict accepts(const Problem&, const KernelConfig& config) const noexcept override {
    const auto parsed = tare::from_attributes<TableConfig>(config);
    if (!parsed.ok()) return Verdict::no(parsed.status().message());
    if (parsed->rows_at_once < 1 || parsed->rows_at_once > 4096)
      return Verdict::no("rows_at_once = ", parsed->rows_at_once, ", expected 1 to 4096");
    return Verdict::yes();
  }

  tare::Result<std::unique_ptr<tare::Instance>> instance(tare::Device& device, const Problem& problem,
                                                         const KernelConfig& config) const override {
    TARE_ASSIGN_OR_RETURN(const Activate op, tare::from_attributes<Activate>(problem.first().attributes));
    TARE_ASSIGN_OR_RETURN(const TableConfig parsed, tare::from_attributes<TableConfig>(config));
    auto* parallel = static_cast<tare::CpuParallel*>(device.query(tare::CpuParallel::kInterface));
    if (parallel == nullptr) return tare::failure(tare::Code::unsupported, id(), ": the device has no cpu_parallel/1");
    return std::unique_ptr<tare::Instance>(std::make_unique<TableInstance>(op.activation, parsed, *parallel));
  }
};

}  // namespace

// SiLU and both GELUs: Hendrycks and Gimpel, arXiv 1606.08415.
float activated(float x, tare::Activation activation) {
  switch (activation) {
    case tare::Activation::silu:
      return x / (1.0f + std::exp(-x));
    case tare::Activation::gelu:
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
    case tare::Activation::gelu_tanh:
      return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case tare::Activation::relu:
      return x > 0 ? x : 0.0f;
    case tare::Activation::none:
      break;
  }
  return x;
}

std::unique_ptr<tare::KernelCandidate> make_table_kernel() { return std::make_unique<TableKernel>(); }

}  // namespace org_example
