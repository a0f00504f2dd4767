// Program: what a trace leaves behind, or what a Program text says: the operations of a model over symbolic tensors,
// its weights, states and tables. A plain value: print it, compare it, rewrite it. `distribute` makes the Program of
// one rank out of it; the planner makes that runnable. [any thread]
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/api/attributes.hpp"
#include "core/api/dtype.hpp"
#include "core/api/graph.hpp"
#include "core/api/op_definition.hpp"
#include "core/api/shape.hpp"

namespace tare {

// A logical weight. Two weights may name one checkpoint tensor: then their parts differ.
struct WeightDecl {
  std::string name;              // as in the checkpoint
  Shape shape, whole;            // of this rank, and of the undistributed Program; equal on one rank
  Part part;                     // where in the checkpoint tensor it lies
  int64_t input_dims = 0;        // trailing dimensions that a product sums over; 0: none does (norms, biases, tables)
  int32_t layer = -1;            // -1: outside the layers
  std::optional<DType> dtype;    // absent: as the checkpoint has it
  bool first_rank_only = false;  // a bias under a sum over ranks: zeros on the other ranks
  std::string where;             // "llama.cpp:33", or empty
  bool operator==(const WeightDecl&) const = default;
};

struct StateDecl {
  std::string scope;  // "model.layers.0.self_attn."
  StateKind kind;
  std::vector<Shape> parts;  // what one token leaves in it, as the op that keeps it says; in the Program's dtype
  bool operator==(const StateDecl&) const = default;
};

struct ValueDecl {
  TensorInfo info;
  int32_t node = kAbsent;  // its producer; kAbsent: an input
  int32_t entry = 0;
  std::string name;  // of inputs and outputs; otherwise empty
};

// One operation. `weights` has fixed positions by the op's definition, kAbsent where there is none: linear/1 has pairs
// (weight, bias), norm/1 has (weight, bias), embed/1 has (table).
struct Node {
  std::string op;  // "name/revision"
  Attributes attributes;
  std::vector<int32_t> inputs, results, weights;
  int32_t state = kAbsent, entry = 0, layer = -1;
  std::string scope, where;
  bool operator==(const Node&) const = default;
};

struct OutputDecl {
  int32_t entry = 0;
  std::string name;
  int32_t value = 0;
  bool operator==(const OutputDecl&) const = default;
};

// Nodes stand in an order in which every value is made before it is used, entry after entry. All indices are valid in a
// Program that `trace` or `parse_program` returned.
struct Program {
  DType dtype = DType::bf16;         // of activations
  int64_t ranks = 1;                 // over how many ranks this one was cut
  std::vector<std::string> entries;  // "text" first
  std::vector<ValueDecl> values;
  std::vector<Node> nodes;
  std::vector<WeightDecl> weights;
  std::vector<StateDecl> states;
  std::vector<std::vector<float>> constants;  // by Constant::id
  std::vector<OutputDecl> outputs;
  std::vector<std::string> errors;  // not empty: the Program is not to be used
};

// Most that one shape may hold, so that sizes in bytes stay far from overflow.
constexpr int64_t kMaxElements = int64_t{1} << 48;
// The product of the sizes; nullopt when one is below 1 or the product passes kMaxElements.
std::optional<int64_t> checked_elements(const Shape& shape) noexcept;
// "self_attn.q_proj.weight" of "model.layers.0.self_attn.q_proj.weight" for the scope "model.layers.0.".
std::string_view within(std::string_view name, std::string_view scope) noexcept;

}  // namespace tare
