// The built-in operations' definitions, one function each, and what their shape rules share. Private to core/program.
// A rule's refusal reads "does what: wanted .., found ..": the recorder puts line, op and weight in front. [any thread]
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "core/api/op_definition.hpp"
#include "core/api/ops.hpp"

namespace tare::ops {

OpDefinition embed();
OpDefinition linear();
OpDefinition norm();
OpDefinition rotary();
OpDefinition attention();
OpDefinition gated();
OpDefinition activate();
OpDefinition add();
OpDefinition scale();
OpDefinition soft_cap();
OpDefinition concat();
OpDefinition logit_rows();
OpDefinition sample();
OpDefinition all_reduce();
OpDefinition all_gather();

// How many of each thing an op takes; refused by count when a call differs.
struct Arity {
  size_t inputs = 1, weights = 0, results = 1;
  bool state = false;
};
Status expect(const OpCallInfo& call, const Arity& arity);

// `does`: what the op does with the thing, for the sentence.
Status refuse(std::string_view does, const std::string& wanted, const std::string& found);
std::string show(const TensorInfo& info);  // "bf16 [tokens, 4096]"
// The last `count` dimensions.
inline std::span<const Dim> tail(const Shape& shape, size_t count) noexcept {
  return {shape.end() - static_cast<std::ptrdiff_t>(count < shape.size() ? count : shape.size()), shape.end()};
}
bool same(std::span<const Dim> a, std::span<const Dim> b) noexcept;
inline Shape shape_of(std::span<const Dim> dims) { return {dims.begin(), dims.end()}; }
// Rows first, then at least one dimension.
Status expect_rows(std::string_view what, const TensorInfo& info);
// Two inputs of one shape and one dtype.
Status expect_alike(std::string_view does, const OpCallInfo& call);

// The op's fields out of the call's attributes, completed: what was left out is put in with its default.
template <class Op>
Result<Op> fields_of(const OpCallInfo& call) {
  return from_attributes<Op>(call.attributes);
}
template <class Op>
void complete(const OpCallInfo& call, const Op& op) {
  call.attributes = to_attributes(op);
}

}  // namespace tare::ops
