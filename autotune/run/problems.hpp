// The problems that a model has, each once: what there is to tune. Plain values, [any thread].
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/program/plan.hpp"

namespace tare {

// A product, with what is fused behind it, at some numbers of rows.
struct TuningProblem {
  Problem problem;              // rows: the most
  std::string printed;          // of the key
  std::vector<int64_t> points;  // rows points, ascending
};
// Products with weights of all plans; in order of appearance. They point to the Program's tables.
std::vector<TuningProblem> tuning_problems(std::span<const Plan> plans);
// Adds what `from` has and `to` lacks.
void merge(std::vector<TuningProblem>& to, std::vector<TuningProblem> from);

// "linear/1 n=64 k=64 bf16 x=bf16 y=bf16" of a chain: whose order of sums is the chain's.
std::string first_op_of(std::string_view printed);
// The problem at another number of rows.
Problem at_rows(const Problem& problem, int64_t rows);
std::vector<std::string> chain_of(const Problem& problem);
// Is the weight at `position` of `op` a matrix, which layouts may code? (Biases are not.)
bool is_matrix(const ProblemOp& op, size_t position) noexcept;

}  // namespace tare
