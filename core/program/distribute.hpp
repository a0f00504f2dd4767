// One Program, any number of ranks: local shapes by role, and collectives by one rule (DESIGN: one trace tells
// everything). A sum over a cut dimension leaves every rank with a part of the result ("partial"); an op that `keeps`
// partials (add) leaves two partials partial; whatever else wants the value makes it whole first, once, by an
// all_reduce. What leaves the Program cut is gathered. So parallel blocks meet in one collective. [any thread]
#pragma once
#include <vector>

#include "core/program/op_table.hpp"
#include "core/program/program.hpp"

namespace tare {

// Which roles a deployment cuts, over how many ranks.
struct Distribution {
  int64_t ranks = 1;
  std::vector<Axis> cut{Axis::vocab, Axis::heads, Axis::kv_heads, Axis::ffn, Axis::expert_ffn};  // tensor parallel
  bool cuts(Axis axis) const noexcept;
};

// The Program that each rank runs; all ranks run the same one, on other shares of the weights. Where there are fewer kv
// heads than ranks, ranks share copies of them. Biases behind a sum over ranks count on rank 0 alone (first_rank_only);
// a partial is rounded to its dtype on each rank before it is summed.
//
// Refused with all reasons, one a line: a weight whose dimension does not divide, by name; an op that mixes values over
// a cut dimension, as norms over all heads do.
Result<Program> distribute(const Program& program, const Distribution& distribution, const OpTable& ops);

// Where rank `rank`'s share of a whole dimension begins; its size is that of the distributed shape.
int64_t first_of_rank(Dim whole, const Distribution& distribution, int64_t rank) noexcept;

}  // namespace tare
