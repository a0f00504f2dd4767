// OpDefinition: what the host must know of an op to record, distribute and place it. The built-in ones are registered
// by core/program; a plugin adds its own through the Registrar. [loader]
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/api/attributes.hpp"
#include "core/api/dtype.hpp"
#include "core/api/shape.hpp"

namespace tare {

struct TensorInfo {
  Shape shape;
  DType dtype = DType::bf16;
};
// What a shape rule may look at.
struct OpCallInfo {
  Attributes& attributes;  // a rule may complete them (rotary's width 0)
  std::span<const TensorInfo> inputs;
  std::span<const std::optional<Shape>> weights;  // absent ones are empty
  std::span<const std::string> weight_names;
  std::span<const std::vector<float>> constants;  // by Constant::id
  bool has_state = false;
  DType dtype = DType::bf16;  // of the model's activations
  size_t num_results = 1;     // that the caller asked for
};
struct OpResults {
  std::vector<TensorInfo> results;
  std::vector<Shape> state_parts;      // per token, what the op stores; empty: no state
  std::vector<int64_t> weight_inputs;  // by weight position: trailing dimensions that the op sums over; 0: none
};
// How ranks meet at this op (DESIGN §5): what the op does to a partial sum and to a cut dimension.
enum class PartialRule : uint8_t {
  needs_whole,  // its inputs must be whole first
  keeps,        // add: two partials stay partial
  makes,        // linear: summing over a cut dimension leaves a partial result
};
struct OpDefinition {
  std::string op;  // "name/revision"
  PartialRule partial = PartialRule::needs_whole;
  bool elementwise = false;  // result may take its first dying input's buffer
  // Results of the call, or one sentence "does what: wanted .., found ..".
  std::function<Result<OpResults>(const OpCallInfo&)> infer;
};

}  // namespace tare
