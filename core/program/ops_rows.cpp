// concat/1, logit_rows/1, sample/1 and the collectives.
#include "core/program/ops_support.hpp"

namespace tare::ops {
namespace {

template <class Op>
Status take(const OpCallInfo& call, const Arity& arity) {
  TARE_RETURN_IF_ERROR(expect(call, arity));
  TARE_ASSIGN_OR_RETURN(const Op op, fields_of<Op>(call));
  complete(call, op);
  for (const TensorInfo& x : call.inputs) TARE_RETURN_IF_ERROR(expect_rows("x", x));
  return {};
}
OpResults one(Shape shape, DType dtype) {
  OpResults out;
  out.results = {{.shape = std::move(shape), .dtype = dtype}};
  return out;
}

Result<OpResults> infer_concat(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(take<Concat>(call, {.inputs = 2}));
  const TensorInfo &a = call.inputs[0], &b = call.inputs[1];
  if (a.shape.size() != 2 || b.shape.size() != 2 || a.shape[0] != b.shape[0] || a.dtype != b.dtype)
    return refuse("joins two matrices of one number of rows", text("[rows, n] beside ", show(a)), show(b));
  return one({a.shape[0], Dim(a.shape[1].size + b.shape[1].size)}, a.dtype);
}

Result<OpResults> infer_logit_rows(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(take<LogitRows>(call, {}));
  const TensorInfo& x = call.inputs[0];
  if (x.shape[0].axis != Axis::tokens) return refuse("picks rows among the tokens", "[tokens, ..]", show(x));
  Shape shape = x.shape;
  shape[0] = Dim(1, Axis::logit_rows);
  return one(std::move(shape), x.dtype);
}

Result<OpResults> infer_sample(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(take<Sample>(call, {}));
  const TensorInfo& x = call.inputs[0];
  if (x.shape.size() != 2 || x.shape[0].axis != Axis::logit_rows)
    return refuse("draws from logits", "[logit_rows, vocab]", show(x));
  return one({x.shape[0]}, DType::i32);
}

Result<OpResults> infer_all_reduce(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(take<AllReduce>(call, {}));
  return one(call.inputs[0].shape, call.inputs[0].dtype);
}

// The number of ranks is not the op's to know: `distribute` writes the joined shape itself.
Result<OpResults> infer_all_gather(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(take<AllGather>(call, {}));
  return one(call.inputs[0].shape, call.inputs[0].dtype);
}

OpDefinition definition(std::string_view op, Result<OpResults> (*infer)(const OpCallInfo&)) {
  return {.op = std::string(op), .partial = PartialRule::needs_whole, .elementwise = false, .infer = infer};
}

}  // namespace

OpDefinition concat() { return definition(Concat::kOp, infer_concat); }
OpDefinition logit_rows() { return definition(LogitRows::kOp, infer_logit_rows); }
OpDefinition sample() { return definition(Sample::kOp, infer_sample); }
OpDefinition all_reduce() { return definition(AllReduce::kOp, infer_all_reduce); }
OpDefinition all_gather() { return definition(AllGather::kOp, infer_all_gather); }

}  // namespace tare::ops
