// What a Program costs: parameters, the bytes of its weights, what its states keep for each token, and its products.
// Reads the Program alone: no weight is loaded, no device is asked. [any thread]
#pragma once
#include <string>
#include <vector>

#include "core/program/program.hpp"

namespace tare {

// A linear product as the tuning database knows it. Taken after distributing: sizes are one rank's.
struct LinearProblem {
  int64_t inputs = 0, outputs = 0;  // K, and N of all stacked parts
  int64_t parts = 1;                // stacked weights
  Axis rows = Axis::tokens;         // what a row is: tokens or logit_rows
  bool f32 = false;                 // results kept in F32
  DType dtype = DType::bf16;        // of the weights
  bool operator==(const LinearProblem&) const = default;
};
std::string to_string(const LinearProblem& problem);  // "bf16 N=6144 (3 parts) K=4096, per token"

struct ProgramLedger {
  int64_t parameters = 0;    // of all weights, tied ones once
  int64_t weight_bytes = 0;  // plain, in each weight's dtype (absent: the Program's)
  int64_t table_bytes = 0;   // constants
  // Layers whose states have one kind and one size share a group.
  struct StateGroup {
    StateKind kind;
    int64_t layers = 0, bytes_per_token = 0;  // of one layer
    bool operator==(const StateGroup&) const = default;
  };
  std::vector<StateGroup> states;
  struct Problem {
    LinearProblem problem;
    int64_t count = 0;  // nodes that have it
  };
  std::vector<Problem> problems;  // in order of first use
  struct Collective {
    std::string op;
    int64_t count = 0;
  };
  std::vector<Collective> collectives;  // of a distributed Program
};
// Of one entry, or of all together (entry = -1). A weight that two entries share counts once.
ProgramLedger ledger_of(const Program& program, int32_t entry = -1);

// 8030261248 -> "8'030'261'248".
std::string grouped(int64_t number);

}  // namespace tare
