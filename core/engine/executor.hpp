// Executor: takes one step of one model. The engine decides what is in a step; the executor (a Plan on a device,
// another rank, a fake in tests) computes it. Thread rule: one engine thread calls run(); limits() is [any thread].
#pragma once
#include <cstdint>
#include <vector>

#include "core/api/shape.hpp"
#include "core/engine/step_input.hpp"

namespace tare {

// A state group's pages. Page ids are 0 .. num_pages-1; a page holds positions [i * page_tokens, (i + 1) * page_tokens)
// of one sequence, for all layers of the group. A recurrent group has one page a sequence: page_tokens >= context.
struct StateGroupLimits {
  StateKind kind;
  int32_t page_tokens = 16;
  int32_t num_pages = 0;
};
struct ExecutorLimits {
  int32_t max_step_tokens = 0;  // rows of a step
  int32_t max_sequences = 0;    // sequences (and logit rows) of a step
  int32_t context = 0;          // positions that a sequence may have
  int32_t vocabulary = 0;
  std::vector<StateGroupLimits> groups;  // in the order of StepInput::page_tables
};

class Executor {
 public:
  virtual ~Executor() = default;
  virtual ExecutorLimits limits() const = 0;
  // Runs the step to its end. Stores the state of its rows in the pages that the tables name and draws one token for
  // each logit row. On failure the requests of the step end; what their pages hold does not matter any more, and the
  // next step may follow.
  virtual Result<StepOutput> run(const StepInput& step) = 0;
};

// The first position whose keys a row at `position` still sees in a state of this kind.
int64_t first_visible(StateKind kind, int64_t position) noexcept;

// Is `step` whole and inside `limits`? Refuses in one sentence what would make a kernel read or write elsewhere: counts
// that disagree, ids, positions or pages out of range, a page that a row needs and the table lacks, and two sequences
// that write one page. What comes from another process goes through this before it runs.
Status check_step(const StepInput& step, const ExecutorLimits& limits);

}  // namespace tare
