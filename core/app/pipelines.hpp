// Pipelines: which kernel runs each kind of matrix product of a model, bucket by bucket, and why: what `tare explain`
// prints and what [tuning] on_miss asks about. Plain values, [any thread].
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/app/model.hpp"

namespace tare {

// One range of rows for which one kernel with one config runs.
struct PipelineRange {
  int64_t first = 1, last = 1;
  std::string kernel, config, numerics;
  Ending ending = Ending::rule;
  std::string note;
  double us = 0;  // measured, at `last`; 0: unknown
};
// Matrices that are alike: same chain of ops, sizes and layout.
struct PipelineGroup {
  std::string matrices;  // "self_attn.q_proj+k_proj+v_proj"
  int64_t count = 0;     // how many times in the model
  std::string sizes;     // "2048+512+512 x 2048"
  std::string layout;
  std::vector<std::string> problems;  // printed; more than one where buckets fuse differently
  std::vector<PipelineRange> ranges;  // in order of rows
};
// Of all products (linear/1, alone or at the head of a chain). `tuning` may be null.
std::vector<PipelineGroup> pipelines_of(const Program& program, const Settlement& settlement,
                                        std::span<const Plan> plans, const TuningStore* tuning);

// "self_attn.q_proj+k_proj+v_proj" of the weights of a node, its layer left out.
std::string matrices_of(const Program& program, const Node& node);
std::string sizes_of(const Program& program, const Node& node);  // "2048+512+512 x 2048"
// The same of a node's layout; "a, b" where they differ.
std::string layouts_of(const Settlement& settlement, const Node& node);

// "48 products in w12/cpu-tiles, 17 in dense/cpu-tiles" of entry 0, most first.
std::string layouts_line(const Program& program, const Settlement& settlement);

}  // namespace tare
