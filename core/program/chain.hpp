// Chains: neighbours of a Program that one kernel may take together, and the Problem they make. Private to the planner.
#pragma once
#include "core/program/plan.hpp"

namespace tare {

// Who uses each value, and which values leave an entry.
struct Uses {
  std::vector<std::vector<int32_t>> users;  // by value: nodes
  std::vector<bool> leaves;                 // by value: it is an output
};
Uses uses_of(const Program& program);

// The nodes from `first` on that are the ops `takes` in a row: each result of one is used by the next and by nothing
// else, and whatever else the next takes exists before `first`. Empty when they are not.
std::vector<int32_t> chain_from(const Program& program, const Uses& uses, int32_t first,
                                std::span<const std::string> takes);

Problem problem_of(const PlanContext& context, std::span<const int32_t> nodes, const Bucket& bucket);
// Inputs from outside, results of the last node, and weights, in a Launch's order.
void bind_operands(const Program& program, PlanStep& step);

}  // namespace tare
