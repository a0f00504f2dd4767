// Scheduler: which sequences get how many rows of the next step, and which pages. No thread, no clock, no text: tokens
// and pages only, so that a test can drive it by hand. One thread: the engine's.
//
// Rules. First come, first served: sequences are admitted, given rows and given pages in the order of arrival. Every
// running sequence that waits for its next token gets its row in every step; what is left of the step goes to prompts,
// in chunks. When pages run out, a sequence takes those of the youngest running one, which is computed again later from
// its tokens; with nobody younger it sits the step out. So the oldest one always advances, and nothing starves.
#pragma once
#include <cstdint>
#include <vector>

#include "core/api/status.hpp"
#include "core/engine/executor.hpp"
#include "core/engine/page_pool.hpp"

namespace tare {

// What scheduling knows of a request. Owned by the engine; in the scheduler from add() to remove().
struct Sequence {
  uint64_t id = 0;              // order of arrival
  std::vector<int32_t> tokens;  // prompt, then output
  int32_t prompt_tokens = 0;
  int32_t most_tokens = 0;                  // prompt and output together never get longer
  int32_t stored = 0;                       // positions whose state lies in pages
  std::vector<std::vector<int32_t>> pages;  // by state group, by position / page_tokens; -1: given back

  int32_t pending() const noexcept { return static_cast<int32_t>(tokens.size()) - stored; }
};
// Rows [sequence->stored, sequence->stored + rows) of a sequence in a step.
struct Slice {
  Sequence* sequence = nullptr;
  int32_t rows = 0;
  bool draws() const noexcept { return rows == sequence->pending(); }  // its last row gives a token
};

class Scheduler {
 public:
  // `chunk`: most prompt rows in a step; 0: as many as fit.
  Scheduler(ExecutorLimits limits, int32_t chunk);

  // Positions that one sequence alone can have with these pages: at most limits.context. Fails when not even a short
  // one can run.
  static Result<int32_t> usable_context(const ExecutorLimits& limits);

  void add(Sequence& sequence);     // to the end of the queue
  void remove(Sequence& sequence);  // waiting or running; its pages come back
  bool idle() const noexcept { return waiting_.empty() && running_.empty(); }

  // Admits what fits, then cuts the next step, pages in place. Empty only when idle. After the step has run,
  // `stored += rows` is the caller's, as is the new token of a slice that draws.
  std::vector<Slice> plan();

  int64_t waiting() const noexcept { return static_cast<int64_t>(waiting_.size()); }
  int64_t running() const noexcept { return static_cast<int64_t>(running_.size()); }
  int64_t pages_used() const noexcept;
  int64_t pages_total() const noexcept;
  int64_t preemptions() const noexcept { return preemptions_; }

 private:
  void admit();
  bool fits(const Sequence& sequence) const;
  int64_t pages_wanted(const Sequence& sequence, size_t group) const;
  void give_back_passed(Sequence& sequence);
  void give_back_all(Sequence& sequence);
  int32_t rows_that_fit(const Sequence& sequence) const;
  void take_pages(Sequence& sequence, int32_t rows);
  void preempt_youngest();

  ExecutorLimits limits_;
  int32_t chunk_, most_running_;
  std::vector<PagePool> pools_;               // by state group
  std::vector<Sequence*> waiting_, running_;  // both in order of arrival
  int64_t preemptions_ = 0;
};

}  // namespace tare
