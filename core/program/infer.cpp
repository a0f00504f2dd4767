#include "core/program/infer.hpp"

#include <exception>

namespace tare {
namespace {

Status check_shape(std::string_view what, const Shape& shape) {
  if (shape.size() > 8) return invalid(what, " has ", shape.size(), " dimensions, expected at most 8");
  if (!checked_elements(shape))
    return invalid(what, " ", to_string(shape), " has sizes below 1 or more than 2^48 elements");
  return {};
}

Status check(const Program& program, const Node& node, const OpResults& found, size_t num_results, bool has_state) {
  if (num_results == 0) return invalid("gives results: wanted at least one, found none");
  if (found.results.size() != num_results)
    return invalid("gives results: wanted ", found.results.size(), ", found ", num_results);
  for (const TensorInfo& info : found.results) TARE_RETURN_IF_ERROR(check_shape("its result", info.shape));
  for (const Shape& part : found.state_parts) TARE_RETURN_IF_ERROR(check_shape("what it keeps", part));
  if (has_state != !found.state_parts.empty())
    return invalid(has_state ? "keeps nothing: wanted no state, found one"
                             : "keeps what later steps read: wanted a "
                               "state, found none");
  for (size_t w = 0; w < found.weight_inputs.size() && w < node.weights.size(); ++w) {
    if (node.weights[w] < 0) continue;
    const WeightDecl& weight = program.weights[static_cast<size_t>(node.weights[w])];
    if (found.weight_inputs[w] < 0 || found.weight_inputs[w] > static_cast<int64_t>(weight.shape.size()))
      return {Code::internal, text("its definition sums over ", found.weight_inputs[w], " dimensions of ", weight.name,
                                   " ", to_string(weight.shape))};
  }
  return {};
}

}  // namespace

Result<OpResults> infer_node(const Program& program, const OpDefinition& definition, Node& node, size_t num_results) {
  if (node.inputs.size() > kMaxInputs || node.weights.size() > kMaxWeights || num_results > kMaxResults)
    return invalid("is too wide: wanted at most ", kMaxInputs, " inputs, ", kMaxWeights, " weights and ", kMaxResults,
                   " results, found ", node.inputs.size(), ", ", node.weights.size(), " and ", num_results);
  std::vector<TensorInfo> inputs;
  for (int32_t v : node.inputs) inputs.push_back(program.values[static_cast<size_t>(v)].info);
  std::vector<std::optional<Shape>> weights;
  std::vector<std::string> names;
  for (int32_t w : node.weights) {
    weights.push_back(w < 0 ? std::nullopt : std::optional(program.weights[static_cast<size_t>(w)].shape));
    names.push_back(w < 0 ? std::string() : program.weights[static_cast<size_t>(w)].name);
  }
  const bool has_state = node.state >= 0;
  try {
    Result<OpResults> found = definition.infer({.attributes = node.attributes,
                                                .inputs = inputs,
                                                .weights = weights,
                                                .weight_names = names,
                                                .constants = program.constants,
                                                .has_state = has_state,
                                                .dtype = program.dtype,
                                                .num_results = num_results});
    if (!found.ok()) return std::move(found).status();
    TARE_RETURN_IF_ERROR(check(program, node, *found, num_results, has_state));
    return found;
  } catch (const std::exception& e) {  // a plugin's rule: nothing throws across the door
    return Status(Code::internal, text("its shape rule threw: ", e.what()));
  }
}

Status settle(Program& program, const Node& node, const OpResults& results) {
  for (size_t w = 0; w < results.weight_inputs.size() && w < node.weights.size(); ++w) {
    if (node.weights[w] < 0 || results.weight_inputs[w] == 0) continue;
    WeightDecl& weight = program.weights[static_cast<size_t>(node.weights[w])];
    if (weight.input_dims != 0 && weight.input_dims != results.weight_inputs[w])
      return invalid("sums over the last ", results.weight_inputs[w], " dimensions of ", weight.name,
                     ": wanted the last ", weight.input_dims, " as elsewhere in the model, found ",
                     to_string(weight.shape));
    weight.input_dims = results.weight_inputs[w];
  }
  if (node.state >= 0) {
    StateDecl& state = program.states[static_cast<size_t>(node.state)];
    if (!state.parts.empty())
      return invalid("keeps its values in ", state.scope,
                     ": wanted a state of its own, found one "
                     "that another operation keeps");
    state.parts = results.state_parts;
  }
  return {};
}

std::string weight_mistake(const std::string& name, const Shape& shape, const Part& part) {
  if (name.empty() || name.size() > 512 || name.find('\0') != std::string::npos)
    return "wanted a name of 1 to 512 characters";
  if (shape.empty() || shape.size() > 4) return text("wanted 1 to 4 dimensions, found ", to_string(shape));
  for (const Dim& dim : shape)
    if (is_rows(dim.axis)) return text("wanted no rows among its dimensions, found ", to_string(shape));
  if (!checked_elements(shape)) return text("wanted sizes from 1 and at most 2^48 elements, found ", to_string(shape));
  if (part.of == 0 && (part.begin != 0 || part.step != 1))
    return text("wanted the size of the whole for a part, found begin = ", part.begin, " of = 0");
  if (part.of < 0 || part.begin < 0 || part.step < 1 || part.of > kMaxElements || part.step > kMaxElements)
    return text("wanted a part inside its tensor, found begin = ", part.begin, " of = ", part.of,
                " step = ", part.step);
  // Which dimension of three or more is the outputs' is the reader's knowledge, so it checks those.
  const int64_t outputs = shape.size() <= 2 ? shape[0].size : 1;
  if (part.of > 0 && (part.begin >= part.of || outputs - 1 > (part.of - 1 - part.begin) / part.step))
    return text("wanted a part inside its tensor, found ", to_string(shape), " from output ", part.begin,
                " by steps of ", part.step, " of ", part.of);
  if (part.inputs_first && shape.size() < 2)
    return text("wanted two dimensions to swap for inputs_first, found ", to_string(shape));
  return {};
}

}  // namespace tare
