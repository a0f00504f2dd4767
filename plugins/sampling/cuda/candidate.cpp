#include "plugins/sampling/cuda/candidate.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

#include "core/api/cpu_kernel.hpp"
#include "core/api/ops.hpp"
#include "jit/cuda_kernel.hpp"
#include "plugins/sampling/cuda/arguments.hpp"
#include "plugins/sampling/sample.hpp"

namespace tare::sampling {
namespace {

bool is_greedy(const SamplingRow& row) noexcept {
  return row.temperature == 0 && row.logprobs < 0 && row.bias.empty() && row.repetition_penalty == 1 &&
         row.frequency_penalty == 0 && row.presence_penalty == 0;
}

class SampleInstance final : public Instance {
 public:
  SampleInstance(jit::CudaLaunch& launcher, std::shared_ptr<jit::CudaKernel> argmax)
      : launcher_(launcher), argmax_(std::move(argmax)) {}

  Status launch(const Launch& launch) noexcept override {
    try {
      return run(launch);
    } catch (const std::bad_alloc&) {
      return Status(Code::exhausted, "sample: the process is out of memory");
    }
  }

 private:
  Status run(const Launch& launch) {
    const StepView& step = launch.step;
    if (step.sampling.empty() || step.num_logit_rows == 0) return {};
    const TensorView &logits = launch.inputs[0], &out = launch.outputs[0];
    Match match;
    match.view("logits", logits, {"logit_rows", "vocab"}).view("ids", out, {"logit_rows"});
    match.dtype("logits", logits, {DType::f32, DType::bf16}).dtype("ids", out, {DType::i32});
    TARE_RETURN_IF_ERROR(match.status());
    const int64_t rows = step.num_logit_rows;
    if (logits.rows() < rows || std::ssize(step.sampling) != rows || std::ssize(step.logprobs) != rows)
      return invalid("sample has ", rows, " logit rows, but ", logits.rows(), " rows of logits, ", step.sampling.size(),
                     " of parameters and ", step.logprobs.size(), " for log probabilities");
    ids_.resize(static_cast<size_t>(rows));
    if (std::ranges::all_of(step.sampling, is_greedy)) {
      ArgmaxArguments a{logits.data, static_cast<int32_t*>(out.data), logits.sizes[1], logits.row_stride};
      void* pointers[] = {&a};
      TARE_RETURN_IF_ERROR(launcher_.launch(launch.stream, *argmax_,
                                            {.grid_x = static_cast<uint32_t>(rows), .threads = 1024}, pointers));
      TARE_RETURN_IF_ERROR(launch.device.copy_out(launch.stream, ids_.data(), out.data, ids_.size() * sizeof(int32_t)));
      TARE_RETURN_IF_ERROR(launch.stream.synchronize());
      if (std::ranges::all_of(ids_, [](int32_t id) { return id >= 0; })) return {};
      // A row that is none: the host's function says what is wrong with it.
    }
    return on_host(launch, rows);
  }

  Status on_host(const Launch& launch, int64_t rows) {
    const TensorView& logits = launch.inputs[0];
    const int64_t vocabulary = logits.sizes[1], row_bytes = logits.row_stride * size_of(logits.dtype);
    logits_.resize(static_cast<size_t>(rows * row_bytes));
    TARE_RETURN_IF_ERROR(launch.device.copy_out(launch.stream, logits_.data(), logits.data, logits_.size()));
    TARE_RETURN_IF_ERROR(launch.stream.synchronize());
    TensorView here = logits;
    here.data = logits_.data();
    std::vector<Status> failed(static_cast<size_t>(rows));
    std::atomic<int64_t> next{0};
    const auto work = [&] {
      std::vector<float> plain;
      for (int64_t r; (r = next.fetch_add(1)) < rows;) {
        const auto i = static_cast<size_t>(r);
        try {
          std::span<const float> x(here.row<const float>(r), static_cast<size_t>(vocabulary));
          if (here.dtype != DType::f32) {
            plain.resize(static_cast<size_t>(vocabulary));
            load_row(here, r, plain);
            x = plain;
          }
          Result<int32_t> id = fast(x, launch.step.sampling[i], launch.step.logprobs[i]);
          if (id.ok())
            ids_[i] = *id;
          else
            failed[i] = std::move(id).status().in(text("logit row ", r));
        } catch (const std::bad_alloc&) {
          failed[i] = Status(Code::exhausted, "the process is out of memory");
        }
      }
    };
    std::vector<std::thread> helpers;
    const auto most = std::min<int64_t>({rows / 2, std::thread::hardware_concurrency(), 16});
    for (int64_t t = 1; t < most; ++t) helpers.emplace_back(work);
    work();
    for (std::thread& t : helpers) t.join();
    for (Status& s : failed) TARE_RETURN_IF_ERROR(s);
    // ids_ stays as it is until the next launch, which comes after the executor has waited for the stream.
    return launch.device.copy_in(launch.stream, launch.outputs[0].data, ids_.data(), ids_.size() * sizeof(int32_t));
  }

  jit::CudaLaunch& launcher_;
  const std::shared_ptr<jit::CudaKernel> argmax_;
  std::vector<int32_t> ids_;
  std::vector<std::byte> logits_;
};

class SampleCandidate final : public KernelCandidate {
 public:
  explicit SampleCandidate(jit::Jit& jit) : jit_(jit) {}
  std::string_view id() const noexcept override { return "sample.cuda"; }
  std::string_view device_kind() const noexcept override { return "cuda"; }
  std::vector<std::string> takes() const override { return {std::string(Sample::kOp)}; }
  Verdict supports(const Problem& problem) const noexcept override {
    if (Verdict v = jit::runs_on(problem, 80); !v) return v;
    const ProblemOp& p = problem.first();
    if (p.inputs.size() != 1)
      return Verdict::no("sampling has ", p.inputs.size(), " inputs, expected the logits alone");
    if (p.inputs[0].dtype != DType::f32 && p.inputs[0].dtype != DType::bf16)
      return Verdict::no("logits are ", name(p.inputs[0].dtype), ", expected f32 or bf16");
    return Verdict::yes();
  }
  std::string numerics(const Problem&) const override { return "integer-weights/1"; }  // as the CPU's
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return {"*"}; }
  KernelConfig fallback(const Problem&) const override { return {}; }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig&) const override {
    if (Verdict v = supports(problem); !v) return failure(Code::unsupported, id(), ": ", v.reason);
    const bool f32 = problem.first().inputs[0].dtype == DType::f32;
    const jit::KernelUse use{
        "plugins/sampling/cuda/argmax.cuh",
        text("tare::sampling::argmax<tare::sampling::ArgmaxConfig{.f32 = ", f32 ? "true" : "false", "}>")};
    TARE_ASSIGN_OR_RETURN(auto kernels, jit::load_kernels(jit_, device, {&use, 1}));
    auto* launcher = static_cast<jit::CudaLaunch*>(device.query(jit::CudaLaunch::kInterface));
    return std::unique_ptr<Instance>(std::make_unique<SampleInstance>(*launcher, std::move(kernels[0])));
  }

 private:
  jit::Jit& jit_;
};

}  // namespace

std::unique_ptr<KernelCandidate> cuda_kernel(jit::Jit& jit) { return std::make_unique<SampleCandidate>(jit); }

}  // namespace tare::sampling
