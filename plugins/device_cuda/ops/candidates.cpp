#include "plugins/device_cuda/ops/candidates.hpp"

#include "core/api/ops.hpp"
#include "jit/cuda_kernel.hpp"
#include "plugins/device_cuda/ops/expression.hpp"
#include "plugins/device_cuda/ops/support.hpp"

namespace tare::cuda_ops {
namespace {

using jit::CudaCall;
using jit::KernelUse;
using jit::NoConfig;

// Columns that a norm runs over: those of its weight, else the last dimension.
int64_t norm_columns(const ProblemOp& p) {
  if (!p.weights.empty() && p.weights[0]) return elements(p.weights[0]->shape);
  return p.inputs[0].shape.back().size;
}
int64_t row_elements(const TensorInfo& t) {
  return t.shape.empty() ? 1 : elements(t.shape) / std::max<int64_t>(1, t.shape.front().size);
}

Verdict norm_supports(const Norm&, const Problem& problem) {
  if (Verdict v = floats_only(problem, 1); !v) return v;
  const ProblemOp& p = problem.first();
  if (p.inputs[0].shape.size() < 2) return Verdict::no("x has no dimension to normalise over");
  const int64_t columns = norm_columns(p), row = row_elements(p.inputs[0]);
  if (columns < 1 || row % columns != 0)
    return Verdict::no("rows of ", row, " numbers are not a multiple of the ", columns, " that are normalised");
  DType dtype = DType::bf16;
  for (size_t i = 0; i < p.weights.size(); ++i) {
    if (!p.weights[i]) continue;
    if (!is_float(p.weights[i]->dtype))
      return Verdict::no(p.weights[i]->name, " is ", name(p.weights[i]->dtype), ", expected bf16 or f32");
    if (elements(p.weights[i]->shape) != columns)
      return Verdict::no(p.weights[i]->name, " has ", elements(p.weights[i]->shape), " numbers, expected ", columns);
    if (i > 0 && p.weights[0] && p.weights[i]->dtype != dtype) return Verdict::no("weight and bias differ in type");
    dtype = p.weights[i]->dtype;
  }
  return Verdict::yes();
}
std::vector<KernelUse> norm_kernels(const Norm& op, const NoConfig&, const Problem& problem) {
  const ProblemOp& p = problem.first();
  NormConfig config{.kind = op.kind == Norm::Kind::rms ? NormKind::kRms : NormKind::kLayer,
                    .input = element_of(p.inputs[0].dtype),
                    .output = element_of(p.results[0].dtype)};
  for (const auto& w : p.weights)
    if (w) config.weight = element_of(w->dtype);
  return {{source("norm.cuh"), expression(config)}};
}
Status norm_run(const CudaCall<Norm>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  const int64_t columns = norm_columns(c.problem.first());
  const auto weight = [&](size_t i) { return i < c.launch.weights.size() ? c.launch.weights[i].data : nullptr; };
  return c.start(
      0,
      {.grid_x = count(x.rows()), .grid_y = count(x.row_elements() / columns), .threads = threads_for(columns, 1024)},
      NormArguments{x.data, weight(0), weight(1), out.data, columns, x.row_stride, out.row_stride, c.op.eps,
                    c.op.offset});
}

Verdict rotary_supports(const Rotary& op, const Problem& problem) {
  if (Verdict v = floats_only(problem, 1); !v) return v;
  const ProblemOp& p = problem.first();
  if (p.inputs[0].shape.size() < 2) return Verdict::no("x has no dimension to turn");
  if (op.frequencies.id < 0 || static_cast<size_t>(op.frequencies.id) >= problem.constants.size())
    return Verdict::no("the table of frequencies @", op.frequencies.id, " is not among the Program's constants");
  const int64_t pairs = std::ssize(problem.constants[static_cast<size_t>(op.frequencies.id)]);
  const int64_t last = p.inputs[0].shape.back().size;
  if (pairs > kMostRotaryPairs) return Verdict::no(pairs, " pairs turn, at most ", kMostRotaryPairs);
  if (op.first < 0 || op.first + 2 * pairs > last)
    return Verdict::no(pairs, " pairs from ", op.first, " on do not lie within ", last, " values");
  return Verdict::yes();
}
std::vector<KernelUse> rotary_kernels(const Rotary& op, const NoConfig&, const Problem& problem) {
  const ProblemOp& p = problem.first();
  return {{source("rotary.cuh"),
           expression(RotaryConfig{
               .pairs = op.pairs == Rotary::Pairs::halves ? RotaryPairs::kHalves : RotaryPairs::kNeighbours,
               .input = element_of(p.inputs[0].dtype),
               .output = element_of(p.results[0].dtype)})}};
}
Status rotary_run(const CudaCall<Rotary>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  const std::vector<float>& frequencies = c.problem.constants[static_cast<size_t>(c.op.frequencies.id)];
  const int64_t width = x.sizes[x.rank - 1];
  RotaryArguments a{.input = x.data,
                    .output = out.data,
                    .positions = c.launch.step.positions,
                    .input_stride = x.row_stride,
                    .output_stride = out.row_stride,
                    .head_size = static_cast<int32_t>(width),
                    .first = static_cast<int32_t>(c.op.first),
                    .pairs = static_cast<int32_t>(frequencies.size()),
                    .magnitude = c.op.magnitude,
                    .frequencies = {}};
  std::copy(frequencies.begin(), frequencies.end(), a.frequencies);
  return c.start(
      0, {.grid_x = count(x.rows()), .grid_y = count(x.row_elements() / width), .threads = threads_for(width / 2, 256)},
      a);
}

Verdict one_type(const Problem& problem, size_t inputs) {
  if (Verdict v = floats_only(problem, inputs); !v) return v;
  for (const TensorInfo& t : problem.first().inputs)
    if (t.dtype != problem.first().results[0].dtype)
      return Verdict::no("an input is ", name(t.dtype), ", the result ", name(problem.first().results[0].dtype));
  return Verdict::yes();
}
// Rows are copied in units of 2 bytes.
int64_t units(const TensorView& view, int64_t elements_of_it) { return elements_of_it * size_of(view.dtype) / 2; }
const uint16_t* words(const TensorView& view) { return static_cast<const uint16_t*>(view.data); }

Status logit_rows_run(const CudaCall<LogitRows>& c) {
  const TensorView &x = c.launch.inputs[0], &out = c.launch.outputs[0];
  const int64_t n = units(out, out.row_elements());
  return c.start(0, {.grid_x = count(out.rows()), .threads = threads_for(n, 512)},
                 GatherArguments{words(x), c.launch.step.logit_row_tokens, static_cast<uint16_t*>(out.data), n,
                                 units(x, x.row_stride), units(out, out.row_stride)});
}
Status concat_run(const CudaCall<Concat>& c) {
  const TensorView &a = c.launch.inputs[0], &b = c.launch.inputs[1], &out = c.launch.outputs[0];
  return c.start(0, {.grid_x = count(out.rows()), .threads = threads_for(units(out, out.row_elements()), 512)},
                 ConcatArguments{words(a), words(b), static_cast<uint16_t*>(out.data), units(a, a.row_elements()),
                                 units(b, b.row_elements()), units(a, a.row_stride), units(b, b.row_stride),
                                 units(out, out.row_stride)});
}

}  // namespace

std::vector<std::unique_ptr<KernelCandidate>> candidates(jit::Jit& jit) {
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(jit::cuda_kernel<Norm>(jit, {.id = "norm.cuda",
                                             .numerics = "block-tree",
                                             .kernels = norm_kernels,
                                             .run = norm_run,
                                             .supports = norm_supports,
                                             .dependent = true,
                                             .replays = true}));
  out.push_back(jit::cuda_kernel<Rotary>(jit, {.id = "rotary.cuda",
                                               .numerics = "exact",
                                               .kernels = rotary_kernels,
                                               .run = rotary_run,
                                               .supports = rotary_supports,
                                               .dependent = true,
                                               .replays = true}));
  out.push_back(attention_candidate(jit));
  for (auto& candidate : elementwise_candidates(jit)) out.push_back(std::move(candidate));
  out.push_back(jit::cuda_kernel<LogitRows>(
      jit, {.id = "logit_rows.cuda",
            .numerics = "exact",
            .kernels =
                [](const LogitRows&, const NoConfig&, const Problem&) {
                  return std::vector<KernelUse>{{source("rows.cuh"), "tare::cuda_ops::gather"}};
                },
            .run = logit_rows_run,
            .supports = [](const LogitRows&, const Problem& p) { return one_type(p, 1); },
            .dependent = true,
            .replays = true}));
  out.push_back(jit::cuda_kernel<Concat>(
      jit, {.id = "concat.cuda",
            .numerics = "exact",
            .kernels =
                [](const Concat&, const NoConfig&, const Problem&) {
                  return std::vector<KernelUse>{{source("rows.cuh"), "tare::cuda_ops::concat"}};
                },
            .run = concat_run,
            .supports = [](const Concat&, const Problem& p) { return one_type(p, 2); },
            .dependent = true,
            .replays = true}));
  return out;
}

}  // namespace tare::cuda_ops
