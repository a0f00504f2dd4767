// norm/1.
#include <tuple>

#include "core/program/ops_support.hpp"

namespace tare::ops {
namespace {

Result<OpResults> infer_norm(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(expect(call, {.inputs = 1, .weights = 2}));
  TARE_ASSIGN_OR_RETURN(const Norm op, fields_of<Norm>(call));
  complete(call, op);
  const TensorInfo& x = call.inputs[0];
  TARE_RETURN_IF_ERROR(expect_rows("x", x));
  const auto& [weight, bias] = std::tie(call.weights[0], call.weights[1]);
  if (!(op.eps >= 0)) return refuse("adds eps to the mean square", "eps of 0 or more", to_string(op.eps));
  if (weight && (weight->empty() || weight->size() >= x.shape.size() || !same(*weight, tail(x.shape, weight->size()))))
    return refuse("normalises the trailing dimensions that its weight has",
                  text("a weight like the end of ", to_string(x.shape)),
                  text(call.weight_names[0], " ", to_string(*weight)));
  if (bias && op.kind == Norm::Kind::rms)
    return refuse("has no mean to put back", "no bias with kind = rms", call.weight_names[1]);
  if (bias && (!weight || *bias != *weight))
    return refuse("adds a bias of the weight's shape", weight ? to_string(*weight) : "a weight too",
                  text(call.weight_names[1], " ", to_string(*bias)));
  OpResults out;
  out.results = {x};
  out.weight_inputs = {0, 0};
  return out;
}

}  // namespace

OpDefinition norm() {
  return {.op = std::string(Norm::kOp), .partial = PartialRule::needs_whole, .elementwise = false, .infer = infer_norm};
}

}  // namespace tare::ops
