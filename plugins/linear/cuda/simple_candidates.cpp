// linear.cuda_reference and embed.cuda: one plain kernel each.
#include <cstring>

#include "core/api/ops.hpp"
#include "jit/cuda_kernel.hpp"
#include "plugins/linear/cuda/candidates.hpp"
#include "plugins/linear/cuda/problem.hpp"
#include "plugins/linear/cuda/simple_arguments.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda {
namespace {

using jit::CudaCall;
using jit::KernelUse;
using jit::NoConfig;

Number number_of(DType dtype) noexcept { return dtype == DType::f32 ? Number::kF32 : Number::kBf16; }
std::string expression(Number n) { return text("tare::linear_cuda::Number::", n == Number::kF32 ? "kF32" : "kBf16"); }

Verdict reference_supports(const Linear&, const Problem& problem) {
  LinearProblem p;
  return read_problem(problem, Tail::none, p);
}
// One kernel a product of the stack: their types may differ.
std::vector<KernelUse> reference_kernels(const Linear&, const NoConfig&, const Problem& problem) {
  LinearProblem p;
  (void)read_problem(problem, Tail::none, p);
  std::vector<KernelUse> out;
  for (const auto& part : p.parts)
    out.push_back({"plugins/linear/cuda/reference.cuh",
                   text("tare::linear_cuda::reference<tare::linear_cuda::ReferenceConfig{.activations = ",
                        expression(number_of(p.x)), ", .weights = ", expression(number_of(part.weight.dtype)),
                        ", .output = ", expression(number_of(part.result)),
                        ", .bias = ", expression(number_of(part.bias ? part.bias->dtype : part.weight.dtype)), "}>")});
  return out;
}
Status reference_run(const CudaCall<Linear>& c) {
  const TensorView& x = c.launch.inputs[0];
  for (size_t i = 0; i < c.launch.outputs.size(); ++i) {
    const TensorView& out = c.launch.outputs[i];
    const WeightView& weight = c.launch.weights[2 * i];
    const int64_t rows = weight.info->outputs();
    TARE_RETURN_IF_ERROR(
        c.start(i, {.grid_x = static_cast<uint32_t>((rows + 3) / 4 * ((x.rows() + 7) / 8)), .threads = 128},
                ReferenceArguments{x.data, weight.data, c.launch.weights[2 * i + 1].data, out.data, rows,
                                   weight.info->inputs(), x.rows(), x.row_stride, out.row_stride}));
  }
  return {};
}

class EmbedInstance final : public Instance {
 public:
  EmbedInstance(jit::Jit& jit, Device& device, WeightInfo table, DType result)
      : jit_(jit), device_(device), table_(std::move(table)), result_(result) {}

  Status bind(std::span<const WeightView> weights) noexcept override {
    try {
      return bind_to(weights[0]);
    } catch (const std::bad_alloc&) {
      return Status(Code::exhausted, "embed: the process is out of memory");
    }
  }
  Status launch(const Launch& launch) noexcept override {
    if (kernel_ == nullptr) {
      WeightView table = launch.weights[0];
      std::byte head[kStripsHeadBytes];
      if (table.head == nullptr && table.bytes >= kStripsHeadBytes) {
        TARE_RETURN_IF_ERROR(launch.device.copy_out(launch.stream, head, table.data, sizeof head));
        TARE_RETURN_IF_ERROR(launch.stream.synchronize());
        table.head = head;
      }
      TARE_RETURN_IF_ERROR(bind({&table, 1}));
    }
    const TensorView& out = launch.outputs[0];
    if (out.row_elements() != arguments_.columns)
      return failure(Code::internal, "embed: result rows have ", out.row_elements(), " elements, expected ",
                     arguments_.columns);
    if (out.rows() == 0) return {};
    arguments_.ids = launch.step.token_ids, arguments_.output = out.data, arguments_.output_stride = out.row_stride;
    auto* launcher = static_cast<jit::CudaLaunch*>(device_.query(jit::CudaLaunch::kInterface));
    void* pointers[] = {&arguments_};
    return launcher->launch(launch.stream, *kernel_,
                            {.grid_x = static_cast<uint32_t>(out.rows()), .threads = 256, .dependent = true}, pointers);
  }
  bool replays() const noexcept override { return true; }

 private:
  Status bind_to(const WeightView& table) {
    EmbedConfig config{.table = number_of(table_.dtype), .output = number_of(result_)};
    const auto* data = static_cast<const uint8_t*>(table.data);
    arguments_ = {.table = table.data,
                  .payload = nullptr,
                  .headers = nullptr,
                  .overflow = nullptr,
                  .ids = nullptr,
                  .output = nullptr,
                  .output_stride = 0,
                  .rows = static_cast<int32_t>(table_.outputs()),
                  .columns = static_cast<int32_t>(table_.inputs()),
                  .strips_per_block = 1,
                  .base = 0};
    if (is_strips(table.layout)) {
      TARE_ASSIGN_OR_RETURN(const StripsHead head, read_head(table.head, table.bytes, table_));
      config.records = true, config.code = static_cast<WeightCode>(head.code),
      config.header_blocks = head.header_blocks;
      arguments_.payload = data + head.payload_at, arguments_.headers = data + head.headers_at;
      arguments_.overflow = reinterpret_cast<const uint32_t*>(data + head.overflow_at);
      arguments_.strips_per_block = head.strips_per_block, arguments_.base = head.base;
    } else if (table.layout != "dense/rows") {
      return failure(Code::unsupported, "embed.cuda reads dense/rows, ", kW12Strips, " and its like, ", table_.name,
                     " lies in ", table.layout);
    }
    const KernelUse use{"plugins/linear/cuda/embed.cuh",
                        text("tare::linear_cuda::embed<tare::linear_cuda::EmbedConfig{.records = ",
                             config.records ? "true" : "false", ", .code = tare::linear_cuda::WeightCode::",
                             config.code == WeightCode::kW12   ? "kW12"
                             : config.code == WeightCode::kW11 ? "kW11"
                                                               : "kDense",
                             ", .header_blocks = ", config.header_blocks, ", .table = ", expression(config.table),
                             ", .output = ", expression(config.output), "}>")};
    TARE_ASSIGN_OR_RETURN(auto kernels, jit::load_kernels(jit_, device_, {&use, 1}));
    kernel_ = std::move(kernels[0]);
    return {};
  }

  jit::Jit& jit_;
  Device& device_;
  const WeightInfo table_;
  const DType result_;
  std::shared_ptr<jit::CudaKernel> kernel_;
  EmbedArguments arguments_{};
};

class EmbedCandidate final : public KernelCandidate {
 public:
  explicit EmbedCandidate(jit::Jit& jit) : jit_(jit) {}
  std::string_view id() const noexcept override { return "embed.cuda"; }
  std::string_view device_kind() const noexcept override { return "cuda"; }
  std::vector<std::string> takes() const override { return {std::string(Embed::kOp)}; }
  Verdict supports(const Problem& problem) const noexcept override {
    if (Verdict v = jit::runs_on(problem, 80); !v) return v;
    const ProblemOp& p = problem.first();
    if (p.results.size() != 1 || p.weights.size() != 1 || !p.weights[0])
      return Verdict::no(p.results.size(), " results and ", p.weights.size(), " weights, expected 1 and a table");
    for (const DType d : {p.results[0].dtype, p.weights[0]->dtype})
      if (d != DType::bf16 && d != DType::f32)
        return Verdict::no("table or result is ", name(d), ", expected bf16 or f32");
    const int64_t rows = p.weights[0]->outputs(), columns = p.weights[0]->inputs();
    if (rows < 1 || columns < 1 || rows > INT32_MAX || columns > INT32_MAX)
      return Verdict::no("the table is [", rows, ", ", columns, "], expected 1 or more of both, in 32 bits");
    return Verdict::yes();
  }
  std::string numerics(const Problem&) const override { return "exact"; }
  // Whatever the table's other user, the logits' product, likes best: it is one of those that bind() reads.
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return {"*"}; }
  KernelConfig fallback(const Problem&) const override { return {}; }
  std::string hash() const override { return sources_hash(); }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig&) const override {
    if (Verdict v = supports(problem); !v) return failure(Code::unsupported, id(), ": ", v.reason);
    const ProblemOp& p = problem.first();
    return std::unique_ptr<Instance>(std::make_unique<EmbedInstance>(jit_, device, *p.weights[0], p.results[0].dtype));
  }

 private:
  jit::Jit& jit_;
};

}  // namespace

std::unique_ptr<KernelCandidate> make_reference_candidate(jit::Jit& jit) {
  return jit::cuda_kernel<Linear>(jit, {.id = "linear.cuda_reference",
                                        .numerics = "lanes32-fma",
                                        .kernels = reference_kernels,
                                        .run = reference_run,
                                        .supports = reference_supports,
                                        .layouts = {"dense/rows"},
                                        .hash = sources_hash(),
                                        .reference = true,
                                        .dependent = true,
                                        .replays = true});
}
std::unique_ptr<KernelCandidate> make_embed_candidate(jit::Jit& jit) { return std::make_unique<EmbedCandidate>(jit); }

}  // namespace tare::linear_cuda
