// Running an op's shape rule against a Program: the one way by which recorder, parser and distributor learn what a node
// gives. Private to core/program. [loader]
#pragma once
#include <span>

#include "core/program/op_table.hpp"
#include "core/program/program.hpp"

namespace tare {

// Bounds of one node, so that no text or trace asks for more than its own size.
constexpr size_t kMaxInputs = 64, kMaxWeights = 256, kMaxResults = 128;

// What `definition` says of `node` (results are not looked at; attributes are completed), for `num_results` of them.
// Every index of the node must be valid. The answer has been checked: counts, sizes, dimensions that are summed over.
Result<OpResults> infer_node(const Program& program, const OpDefinition& definition, Node& node, size_t num_results);

// Writes into the weights which dimensions are summed over and into the state what is kept. Refused when that
// contradicts what another node said.
Status settle(Program& program, const Node& node, const OpResults& results);

// What is wrong with a weight's declaration, as "wanted .., found .."; empty: nothing.
std::string weight_mistake(const std::string& name, const Shape& shape, const Part& part);

}  // namespace tare
