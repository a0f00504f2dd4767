// rotary/1 and attention/1.
#include "core/program/ops_support.hpp"

namespace tare::ops {
namespace {

Result<OpResults> infer_rotary(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(expect(call, {}));
  TARE_ASSIGN_OR_RETURN(Rotary op, fields_of<Rotary>(call));
  const TensorInfo& x = call.inputs[0];
  if (x.shape.size() != 3 || x.shape[0].axis != Axis::tokens)
    return refuse("turns heads by position", "[tokens, heads, head_dim]", show(x));
  const int64_t last = x.shape[2].size;
  if (op.width == 0 && op.first >= 0 && op.first <= last) op.width = last - op.first;
  if (op.first < 0 || op.width < 2 || op.width % 2 != 0 || op.first > last || op.width > last - op.first)
    return refuse("turns pairs of the last dimension", text("an even part of [0, ", last, ")"),
                  text("first = ", op.first, ", width = ", op.width));
  if (op.frequencies.id < 0 || static_cast<size_t>(op.frequencies.id) >= call.constants.size())
    return refuse("turns by a table", "a constant of the Program", text("@", op.frequencies.id));
  const size_t have = call.constants[static_cast<size_t>(op.frequencies.id)].size();
  if (static_cast<int64_t>(have) != op.width / 2)
    return refuse("turns each pair by its frequency", text(op.width / 2, " frequencies for width ", op.width),
                  std::to_string(have));
  complete(call, op);
  OpResults out;
  out.results = {x};
  return out;
}

Result<OpResults> infer_attention(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(expect(call, {.inputs = 3, .state = true}));
  TARE_ASSIGN_OR_RETURN(const Attention op, fields_of<Attention>(call));
  complete(call, op);
  for (size_t i = 0; i < 3; ++i) {
    const TensorInfo& x = call.inputs[i];
    const std::string wanted = text(name(call.dtype), i == 0 ? " [tokens, heads, d]" : " [tokens, kv_heads, d]");
    if (x.shape.size() != 3 || x.shape[0] != Dim(1, Axis::tokens) || x.dtype != call.dtype)
      return refuse(i == 0 ? "takes q" : i == 1 ? "takes k" : "takes v", wanted, show(x));
  }
  const Shape &q = call.inputs[0].shape, &k = call.inputs[1].shape, &v = call.inputs[2].shape;
  if (q[2] != k[2]) return refuse("compares q with k", text("k ending in ", to_string(q[2])), to_string(k));
  if (k[1] != v[1]) return refuse("reads one v for each k", text("v with ", to_string(k[1])), to_string(v));
  if (q[1].size % k[1].size != 0)
    return refuse("shares the kv heads evenly", text("a divisor of ", to_string(q[1])), to_string(k[1]));
  if (!(op.soft_cap >= 0)) return refuse("caps its scores", "soft_cap of 0 or more", to_string(op.soft_cap));
  OpResults out;
  out.results = {{.shape = {q[0], q[1], v[2]}, .dtype = call.dtype}};
  out.state_parts = {{k[1], k[2]}, {v[1], v[2]}};
  return out;
}

}  // namespace

OpDefinition rotary() {
  return {
      .op = std::string(Rotary::kOp), .partial = PartialRule::needs_whole, .elementwise = false, .infer = infer_rotary};
}
OpDefinition attention() {
  return {.op = std::string(Attention::kOp),
          .partial = PartialRule::needs_whole,
          .elementwise = false,
          .infer = infer_attention};
}

}  // namespace tare::ops
