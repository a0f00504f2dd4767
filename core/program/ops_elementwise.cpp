// gated/1, activate/1, add/1, scale/1, soft_cap/1: each element on its own.
#include "core/program/ops_support.hpp"

namespace tare::ops {
namespace {

// Of an op with `inputs` operands of one shape, which its result has too.
template <class Op>
Result<OpResults> infer_alike(const OpCallInfo& call, size_t inputs, std::string_view does) {
  TARE_RETURN_IF_ERROR(expect(call, {.inputs = inputs}));
  TARE_ASSIGN_OR_RETURN(const Op op, fields_of<Op>(call));
  complete(call, op);
  if (call.inputs[0].shape.empty()) return refuse(does, "[rows, ..]", show(call.inputs[0]));
  if (inputs == 2) TARE_RETURN_IF_ERROR(expect_alike(does, call));
  if constexpr (std::is_same_v<Op, SoftCap>)
    if (!(op.cap > 0)) return refuse(does, "a cap above 0", to_string(op.cap));
  OpResults out;
  out.results = {call.inputs[0]};
  return out;
}

template <class Op>
OpDefinition elementwise(PartialRule partial, size_t inputs, std::string_view does) {
  return {.op = std::string(Op::kOp), .partial = partial, .elementwise = true, .infer = [=](const OpCallInfo& call) {
            return infer_alike<Op>(call, inputs, does);
          }};
}

}  // namespace

OpDefinition gated() { return elementwise<Gated>(PartialRule::needs_whole, 2, "multiplies two of one shape"); }
OpDefinition activate() { return elementwise<Activate>(PartialRule::needs_whole, 1, "takes one input"); }
OpDefinition add() { return elementwise<Add>(PartialRule::keeps, 2, "adds two of one shape"); }
OpDefinition scale() { return elementwise<Scale>(PartialRule::needs_whole, 1, "takes one input"); }
OpDefinition soft_cap() { return elementwise<SoftCap>(PartialRule::needs_whole, 1, "caps its input"); }

}  // namespace tare::ops
