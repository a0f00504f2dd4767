// attention.cuda: over paged state, one block a token and head.
#include "core/api/ops.hpp"
#include "jit/cuda_kernel.hpp"
#include "plugins/device_cuda/ops/candidates.hpp"
#include "plugins/device_cuda/ops/expression.hpp"
#include "plugins/device_cuda/ops/support.hpp"

namespace tare::cuda_ops {
namespace {

using jit::CudaCall;
using jit::KernelUse;
using jit::NoConfig;

Verdict supports(const Attention& op, const Problem& problem) {
  if (Verdict v = floats_only(problem, 3); !v) return v;
  const ProblemOp& p = problem.first();
  if (!op.causal) return Verdict::no("attention that looks ahead is not written yet");
  if (!p.state) return Verdict::no("attention without a state");
  if (p.state->kind == StateKind::latent_ || p.state->kind == StateKind::recurrent_)
    return Verdict::no("state ", to_string(*p.state), ", expected full, window or chunk");
  if (p.state->kind != StateKind::full_ && (p.state->extent < 1 || p.state->extent > INT32_MAX))
    return Verdict::no("state ", to_string(*p.state), " has no extent that fits");
  for (const auto* side : {&p.inputs, &p.results})
    for (const TensorInfo& t : *side) {
      if (t.shape.size() != 3) return Verdict::no("a tensor has ", t.shape.size(), " dimensions, expected 3");
      if (t.dtype != p.inputs[0].dtype) return Verdict::no("q, k, v and the result differ in type");
    }
  const Shape &q = p.inputs[0].shape, &k = p.inputs[1].shape, &v = p.inputs[2].shape;
  if (q[2].size < 1 || q[2].size > kMostHeadSize || v[2].size < 1 || v[2].size > kMostValueSize)
    return Verdict::no("heads of ", q[2].size, " and ", v[2].size, ", expected 1 to ", kMostHeadSize);
  if (k[1].size < 1 || q[1].size % k[1].size != 0 || v[1].size != k[1].size || k[2].size != q[2].size)
    return Verdict::no("q has ", q[1].size, " heads of ", q[2].size, ", k ", k[1].size, " of ", k[2].size, ", v ",
                       v[1].size);
  return Verdict::yes();
}

std::vector<KernelUse> kernels(const Attention&, const NoConfig&, const Problem& problem) {
  const ProblemOp& p = problem.first();
  const AttentionConfig config{.head_size = static_cast<int32_t>(p.inputs[0].shape[2].size),
                               .value_size = static_cast<int32_t>(p.inputs[2].shape[2].size),
                               .visible = p.state->kind == StateKind::window_  ? Visible::kWindow
                                          : p.state->kind == StateKind::chunk_ ? Visible::kChunk
                                                                               : Visible::kFull,
                               .element = element_of(p.inputs[0].dtype)};
  return {{source("attention.cuh"), expression("append", config)},
          {source("attention.cuh"), expression("attend", config)}};
}

Status run(const CudaCall<Attention>& c) {
  const TensorView &q = c.launch.inputs[0], &k = c.launch.inputs[1], &v = c.launch.inputs[2];
  const TensorView& out = c.launch.outputs[0];
  const StateView& state = *c.launch.state;
  const PageTable& table = c.launch.step.page_tables[static_cast<size_t>(state.group)];
  const AttentionArguments a{.query = q.data,
                             .key = k.data,
                             .value = v.data,
                             .output = out.data,
                             .positions = c.launch.step.positions,
                             .sequence_begin = c.launch.step.sequence_begin,
                             .state = {.base = reinterpret_cast<uint8_t*>(state.base),
                                       .pages = table.pages,
                                       .page_stride = table.stride,
                                       .page_bytes = state.page_bytes,
                                       .key_offset = state.parts[0].offset,
                                       .value_offset = state.parts[1].offset,
                                       .key_token_bytes = state.parts[0].token_bytes,
                                       .value_token_bytes = state.parts[1].token_bytes,
                                       .page_tokens = state.page_tokens},
                             .query_stride = q.row_stride,
                             .key_stride = k.row_stride,
                             .value_stride = v.row_stride,
                             .output_stride = out.row_stride,
                             .heads = static_cast<int32_t>(q.sizes[1]),
                             .kv_heads = static_cast<int32_t>(k.sizes[1]),
                             .sequences = static_cast<int32_t>(c.launch.step.num_sequences),
                             .extent = static_cast<int32_t>(c.problem.first().state->extent),
                             .scale = c.op.scale,
                             .soft_cap = c.op.soft_cap};
  TARE_RETURN_IF_ERROR(c.start(0, {.grid_x = count(q.rows()), .threads = threads_for(k.row_elements(), 256)}, a));
  return c.start(1, {.grid_x = count(q.rows()), .grid_y = count(q.sizes[1]), .threads = kAttentionThreads}, a);
}

}  // namespace

std::unique_ptr<KernelCandidate> attention_candidate(jit::Jit& jit) {
  return jit::cuda_kernel<Attention>(jit, {.id = "attention.cuda",
                                           .numerics = "tiles64-online",
                                           .kernels = kernels,
                                           .run = run,
                                           .supports = supports,
                                           .dependent = true,
                                           .replays = true});
}

}  // namespace tare::cuda_ops
