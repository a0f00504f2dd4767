#include "core/program/ops_support.hpp"

#include <algorithm>

namespace tare::ops {

Status refuse(std::string_view does, const std::string& wanted, const std::string& found) {
  return invalid(does, ": wanted ", wanted, ", found ", found);
}

std::string show(const TensorInfo& info) { return text(name(info.dtype), " ", to_string(info.shape)); }

bool same(std::span<const Dim> a, std::span<const Dim> b) noexcept { return std::ranges::equal(a, b); }

Status expect(const OpCallInfo& call, const Arity& arity) {
  if (call.inputs.size() != arity.inputs)
    return refuse("takes inputs", std::to_string(arity.inputs), std::to_string(call.inputs.size()));
  if (call.weights.size() != arity.weights)
    return refuse("has places for weights", std::to_string(arity.weights), std::to_string(call.weights.size()));
  if (call.num_results != arity.results)
    return refuse("gives results", std::to_string(arity.results), std::to_string(call.num_results));
  if (call.has_state != arity.state)
    return arity.state ? refuse("keeps what later steps read", "a state", "none")
                       : refuse("keeps nothing", "no state", "one");
  return {};
}

Status expect_rows(std::string_view what, const TensorInfo& info) {
  if (info.shape.size() < 2 || !is_rows(info.shape.front().axis))
    return refuse(text("takes ", what), "[rows, ..]", show(info));
  return {};
}

Status expect_alike(std::string_view does, const OpCallInfo& call) {
  if (call.inputs[0].shape != call.inputs[1].shape || call.inputs[0].dtype != call.inputs[1].dtype)
    return refuse(does, show(call.inputs[0]), show(call.inputs[1]));
  return {};
}

}  // namespace tare::ops
