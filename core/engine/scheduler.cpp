#include "core/engine/scheduler.hpp"

#include <algorithm>
#include <limits>

namespace tare {
namespace {

int64_t pages_for(int64_t positions, int64_t page_tokens) { return (positions + page_tokens - 1) / page_tokens; }

// Most pages that a sequence of `tokens` positions holds at once while its steps have `rows` rows or fewer.
int64_t most_pages(const StateGroupLimits& group, int64_t tokens, int64_t rows) {
  const int64_t all = pages_for(tokens, group.page_tokens);
  if (group.kind.kind != StateKind::window_ && group.kind.kind != StateKind::chunk_) return all;
  // A step sees `extent - 1` positions before its first row; a stretch may begin anywhere in a page.
  const int64_t stretch = group.kind.extent - 1 + rows;
  return std::min(all, (stretch + group.page_tokens - 2) / group.page_tokens + 1);
}

bool arrived_before(const Sequence* a, const Sequence* b) { return a->id < b->id; }

void insert_by_arrival(std::vector<Sequence*>& list, Sequence* sequence) {
  list.insert(std::ranges::upper_bound(list, sequence, arrived_before), sequence);
}

}  // namespace

Scheduler::Scheduler(ExecutorLimits limits, int32_t chunk) : limits_(std::move(limits)), chunk_(chunk) {
  if (chunk_ <= 0 || chunk_ > limits_.max_step_tokens) chunk_ = limits_.max_step_tokens;
  most_running_ = std::min(limits_.max_sequences, limits_.max_step_tokens);
  for (const StateGroupLimits& group : limits_.groups) pools_.emplace_back(group.num_pages);
}

Result<int32_t> Scheduler::usable_context(const ExecutorLimits& limits) {
  if (limits.max_step_tokens < 1 || limits.max_sequences < 1 || limits.vocabulary < 1)
    return invalid("executor takes ", limits.max_step_tokens, " tokens of ", limits.max_sequences,
                   " sequences a step with ", limits.vocabulary, " token ids, expected at least 1 of each");
  const auto slides = [](const StateGroupLimits& g) {
    return g.kind.kind == StateKind::window_ || g.kind.kind == StateKind::chunk_;
  };
  int64_t context = limits.context;
  for (size_t i = 0; i < limits.groups.size(); ++i) {
    const StateGroupLimits& g = limits.groups[i];
    if (g.page_tokens < 1 || g.num_pages < 1)
      return invalid("state group ", i, " has ", g.num_pages, " pages of ", g.page_tokens,
                     " tokens, expected at least 1 of each");
    if (!slides(g)) context = std::min(context, int64_t{g.num_pages} * g.page_tokens);
  }
  for (size_t i = 0; i < limits.groups.size(); ++i) {
    const StateGroupLimits& g = limits.groups[i];
    if (const int64_t least = most_pages(g, context, 1); slides(g) && least > g.num_pages)
      return failure(Code::exhausted, "state group ", i, " (", to_string(g.kind), ") has ", g.num_pages, " pages of ",
                     g.page_tokens, " tokens, expected at least ", least);
  }
  if (context < 2) return invalid("executor has room for ", context, " positions, expected at least 2");
  return static_cast<int32_t>(context);
}

void Scheduler::add(Sequence& sequence) {
  sequence.pages.assign(pools_.size(), {});
  insert_by_arrival(waiting_, &sequence);
}

void Scheduler::remove(Sequence& sequence) {
  std::erase(waiting_, &sequence);
  std::erase(running_, &sequence);
  give_back_all(sequence);
}

int64_t Scheduler::pages_wanted(const Sequence& sequence, size_t group) const {
  // A page further than its tokens, so that those that were just admitted are not the first to be put back.
  const StateGroupLimits& g = limits_.groups[group];
  const int64_t tokens = std::min<int64_t>(static_cast<int64_t>(sequence.tokens.size()) + g.page_tokens,
                                           std::max<int64_t>(sequence.most_tokens, 1));
  return most_pages(g, tokens, std::min<int64_t>(chunk_, g.page_tokens));
}

bool Scheduler::fits(const Sequence& sequence) const {
  for (size_t group = 0; group < pools_.size(); ++group) {
    int64_t spoken_for = 0;
    for (const Sequence* other : running_) {
      const auto held = std::ranges::count_if(other->pages[group], [](int32_t page) { return page >= 0; });
      spoken_for += std::max<int64_t>(0, pages_wanted(*other, group) - held);
    }
    if (pools_[group].available() - spoken_for < pages_wanted(sequence, group)) return false;
  }
  return true;
}

void Scheduler::admit() {
  // The first in the queue holds up the others: skipping it for smaller ones could starve it.
  while (!waiting_.empty() && running() < most_running_) {
    if (!running_.empty() && !fits(*waiting_.front())) return;
    insert_by_arrival(running_, waiting_.front());
    waiting_.erase(waiting_.begin());
  }
}

void Scheduler::give_back_passed(Sequence& sequence) {
  for (size_t group = 0; group < pools_.size(); ++group) {
    const StateGroupLimits& g = limits_.groups[group];
    auto& pages = sequence.pages[group];
    const int64_t passed = first_visible(g.kind, sequence.stored) / g.page_tokens;
    // Backwards until one that is gone: earlier ones went in earlier steps.
    for (int64_t i = std::min<int64_t>(passed, static_cast<int64_t>(pages.size())); i-- > 0 && pages[i] >= 0;) {
      pools_[group].give_back(pages[i]);
      pages[i] = -1;
    }
  }
}

void Scheduler::give_back_all(Sequence& sequence) {
  for (size_t group = 0; group < sequence.pages.size(); ++group) {
    for (int32_t page : sequence.pages[group])
      if (page >= 0) pools_[group].give_back(page);
    sequence.pages[group].clear();
  }
}

int32_t Scheduler::rows_that_fit(const Sequence& sequence) const {
  int64_t rows = std::numeric_limits<int32_t>::max();
  for (size_t group = 0; group < pools_.size(); ++group) {
    const int64_t reach = static_cast<int64_t>(sequence.pages[group].size()) + pools_[group].available();
    rows = std::min(rows, reach * limits_.groups[group].page_tokens - sequence.stored);
  }
  return static_cast<int32_t>(std::max<int64_t>(rows, 0));
}

void Scheduler::take_pages(Sequence& sequence, int32_t rows) {
  for (size_t group = 0; group < pools_.size(); ++group) {
    const int64_t wanted = pages_for(int64_t{sequence.stored} + rows, limits_.groups[group].page_tokens);
    auto& pages = sequence.pages[group];
    while (static_cast<int64_t>(pages.size()) < wanted) pages.push_back(pools_[group].take());
  }
}

void Scheduler::preempt_youngest() {
  Sequence* youngest = running_.back();
  running_.pop_back();
  give_back_all(*youngest);
  youngest->stored = 0;
  insert_by_arrival(waiting_, youngest);
  ++preemptions_;
}

std::vector<Slice> Scheduler::plan() {
  admit();
  std::vector<Slice> step;
  int32_t left = chunk_;  // rows for prompts: of those that the drawing sequences leave
  {
    const auto drawing = std::ranges::count_if(running_, [](const Sequence* s) { return s->pending() == 1; });
    left = std::min(left, limits_.max_step_tokens - static_cast<int32_t>(drawing));
  }
  // Those that are preempted stand behind the one that is looked at, so the slices cut so far stay good.
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = *running_[i];
    const bool drawing = sequence.pending() == 1;
    const int32_t wanted = drawing ? 1 : std::min(sequence.pending(), left);
    if (wanted == 0) continue;
    give_back_passed(sequence);
    while (rows_that_fit(sequence) == 0 && i + 1 < running_.size()) preempt_youngest();
    const int32_t rows = std::min(wanted, rows_that_fit(sequence));
    if (rows == 0) continue;
    take_pages(sequence, rows);
    if (!drawing) left -= rows;
    step.push_back({&sequence, rows});
  }
  return step;
}

int64_t Scheduler::pages_used() const noexcept {
  int64_t used = 0;
  for (const PagePool& pool : pools_) used += pool.total() - pool.available();
  return used;
}
int64_t Scheduler::pages_total() const noexcept {
  int64_t total = 0;
  for (const PagePool& pool : pools_) total += pool.total();
  return total;
}

}  // namespace tare
