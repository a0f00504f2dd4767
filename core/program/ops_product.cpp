// embed/1 and linear/1: the products with the big matrices.
#include "core/program/ops_support.hpp"

namespace tare::ops {
namespace {

Result<OpResults> infer_embed(const OpCallInfo& call) {
  TARE_RETURN_IF_ERROR(expect(call, {.inputs = 0, .weights = 1}));
  TARE_ASSIGN_OR_RETURN(const Embed op, fields_of<Embed>(call));
  complete(call, op);
  if (!call.weights[0]) return refuse("looks tokens up", "a table [vocab, hidden]", "none");
  const Shape& table = *call.weights[0];
  if (table.size() != 2) return refuse("looks tokens up", "a table [vocab, hidden]", to_string(table));
  OpResults out;
  out.results = {{.shape = {{1, Axis::tokens}, table[1]}, .dtype = call.dtype}};
  out.weight_inputs = {0};
  return out;
}

Result<OpResults> infer_linear(const OpCallInfo& call) {
  const size_t parts = call.weights.size() / 2;
  if (parts == 0 || call.weights.size() % 2 != 0)
    return refuse("has places for weights", "pairs (weight, bias)", std::to_string(call.weights.size()));
  TARE_RETURN_IF_ERROR(expect(call, {.inputs = 1, .weights = 2 * parts, .results = parts}));
  TARE_ASSIGN_OR_RETURN(const Linear op, fields_of<Linear>(call));
  complete(call, op);
  const TensorInfo& x = call.inputs[0];
  TARE_RETURN_IF_ERROR(expect_rows("x", x));
  if (x.dtype != call.dtype) return refuse("multiplies x", std::string(name(call.dtype)), show(x));
  const auto in = tail(x.shape, x.shape.size() - 1);
  OpResults out;
  for (size_t i = 0; i < parts; ++i) {
    const auto& weight = call.weights[2 * i];
    const std::string wanted = text("a weight [.., ", to_string(shape_of(in)).substr(1), " for x ", to_string(x.shape));
    if (!weight) return refuse("multiplies x", wanted, "none");
    if (weight->size() <= in.size() || !same(tail(*weight, in.size()), in))
      return refuse("sums over the dimensions of x", wanted, text(call.weight_names[2 * i], " ", to_string(*weight)));
    const std::span<const Dim> outputs(weight->begin(), weight->end() - static_cast<std::ptrdiff_t>(in.size()));
    if (const auto& bias = call.weights[2 * i + 1]; bias && !same(*bias, outputs))
      return refuse("adds a bias of the result's shape", to_string(shape_of(outputs)),
                    text(call.weight_names[2 * i + 1], " ", to_string(*bias)));
    Shape shape{x.shape.front()};
    shape.insert(shape.end(), outputs.begin(), outputs.end());
    out.results.push_back({.shape = std::move(shape), .dtype = op.f32 ? DType::f32 : call.dtype});
    out.weight_inputs.push_back(static_cast<int64_t>(in.size()));
    out.weight_inputs.push_back(0);
  }
  return out;
}

}  // namespace

OpDefinition embed() {
  return {.op = std::string(Embed::kOp), .partial = PartialRule::makes, .elementwise = false, .infer = infer_embed};
}
OpDefinition linear() {
  return {.op = std::string(Linear::kOp), .partial = PartialRule::makes, .elementwise = false, .infer = infer_linear};
}

}  // namespace tare::ops
