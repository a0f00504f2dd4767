#include "plugins/sampling/kernel.hpp"

#include <mutex>
#include <new>

#include "core/api/cpu_kernel.hpp"
#include "core/api/ops.hpp"
#include "plugins/sampling/sample.hpp"

namespace tare::sampling {
namespace {

using RowFunction = Result<int32_t> (*)(std::span<const float>, const SamplingRow&, SampledLogprobs&);

// The failure of the lowest row, whichever worker comes first.
class FirstFailure {
 public:
  void add(int64_t row, Status status) {
    std::lock_guard lock(mutex_);
    if (status_.ok() || row < row_) row_ = row, status_ = std::move(status).in(text("logit row ", row));
  }
  Status take() { return std::move(status_); }

 private:
  std::mutex mutex_;
  int64_t row_ = 0;
  Status status_;
};

template <RowFunction draw>
Status run(const CpuCall<Sample>& call) {
  const StepView& step = call.launch.step;
  if (step.sampling.empty()) return {};
  const TensorView &logits = call.launch.inputs[0], &ids = call.launch.outputs[0];
  Match match;
  match.view("logits", logits, {"logit_rows", "vocab"}).view("ids", ids, {"logit_rows"});
  match.dtype("logits", logits, {DType::f32, DType::bf16}).dtype("ids", ids, {DType::i32});
  TARE_RETURN_IF_ERROR(match.status());
  const int64_t rows = step.num_logit_rows;
  if (logits.rows() < rows || std::ssize(step.sampling) != rows || std::ssize(step.logprobs) != rows)
    return invalid("sample has ", rows, " logit rows, but ", logits.rows(), " rows of logits, ", step.sampling.size(),
                   " of parameters and ", step.logprobs.size(), " for log probabilities");
  const auto vocabulary = static_cast<size_t>(logits.sizes[1]);
  FirstFailure failed;
  call.parallel.run(rows, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t r = begin; r < end; ++r) try {
        std::vector<float> plain;  // of logits that are not F32
        std::span<const float> x(logits.row<const float>(r), vocabulary);
        if (logits.dtype != DType::f32) {
          plain.resize(vocabulary);
          load_row(logits, r, plain);
          x = plain;
        }
        const auto i = static_cast<size_t>(r);
        Result<int32_t> id = draw(x, step.sampling[i], step.logprobs[i]);
        if (id.ok())
          *ids.row<int32_t>(r) = *id;
        else
          failed.add(r, std::move(id).status());
      } catch (const std::bad_alloc&) {
        failed.add(r, Status(Code::exhausted, "the process is out of memory"));
      }
  });
  return failed.take();
}

Verdict supports(const Sample&, const Problem& problem) {
  if (problem.first().inputs.size() != 1)
    return Verdict::no("sampling has ", problem.first().inputs.size(), " inputs, expected the logits alone");
  const DType dtype = problem.first().inputs[0].dtype;
  if (dtype != DType::f32 && dtype != DType::bf16)
    return Verdict::no("logits are ", name(dtype), ", expected f32 or bf16");
  return Verdict::yes();
}

// Draws are made with integers: both kernels, and any that keeps to README.md, give the same bits.
constexpr std::string_view kNumerics = "integer-weights/1";

}  // namespace

std::unique_ptr<KernelCandidate> fast_kernel() {
  return cpu_kernel<Sample>(
      {.id = "sample.cpu", .numerics = kNumerics, .run = run<fast>, .supports = supports, .reference = false});
}
std::unique_ptr<KernelCandidate> reference_kernel() {
  return cpu_kernel<Sample>({.id = "sample.cpu_reference",
                             .numerics = kNumerics,
                             .run = run<reference>,
                             .supports = supports,
                             .reference = true});
}

}  // namespace tare::sampling
