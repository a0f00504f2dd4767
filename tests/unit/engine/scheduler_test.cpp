#include "core/engine/scheduler.hpp"

#include <doctest/doctest.h>

#include <deque>

namespace tare {
namespace {

ExecutorLimits limits(int32_t pages) {
  return {.max_step_tokens = 16, .max_sequences = 4, .context = 64, .vocabulary = 100, .groups = {{full(), 4, pages}}};
}

// A scheduler with sequences of its own, advanced by hand.
struct Bench {
  explicit Bench(const ExecutorLimits& l, int32_t chunk = 0) : context(l.context), scheduler(l, chunk) {}
  Sequence& add(int32_t prompt_tokens, int32_t most = 0) {
    Sequence& s = sequences.emplace_back();
    s.id = sequences.size();
    s.tokens.assign(static_cast<size_t>(prompt_tokens), 1);
    s.prompt_tokens = prompt_tokens;
    s.most_tokens = most == 0 ? context : most;
    scheduler.add(s);
    return s;
  }
  // Plans and runs a step; rows by sequence number (from 1), 0 where it had none.
  std::vector<int32_t> step() {
    std::vector<int32_t> rows(sequences.size());
    for (const Slice& slice : scheduler.plan()) {
      rows[slice.sequence->id - 1] = slice.rows;
      const bool draws = slice.draws();
      slice.sequence->stored += slice.rows;
      if (draws) slice.sequence->tokens.push_back(2);
    }
    return rows;
  }
  int32_t context;
  std::deque<Sequence> sequences;
  Scheduler scheduler;
};
using Rows = std::vector<int32_t>;

TEST_CASE("running streams get their row first, a prompt the rest") {
  Bench bench(limits(100));
  bench.add(3), bench.add(2);
  CHECK(bench.step() == Rows{3, 2});
  bench.add(40);
  CHECK(bench.step() == Rows{1, 1, 14});
  CHECK(bench.step() == Rows{1, 1, 14});
  CHECK(bench.step() == Rows{1, 1, 12});
  CHECK(bench.step() == Rows{1, 1, 1});
}

TEST_CASE("a chunk bounds the prompt rows of a step") {
  Bench bench(limits(100), 4);
  bench.add(1);
  bench.step();
  bench.add(10), bench.add(10);
  CHECK(bench.step() == Rows{1, 4, 0});
  CHECK(bench.step() == Rows{1, 4, 0});
  CHECK(bench.step() == Rows{1, 2, 2});
  CHECK(bench.step() == Rows{1, 1, 4});
}

TEST_CASE("at most max_sequences run; the next is admitted when one has ended") {
  Bench bench(limits(100));
  for (int i = 0; i < 5; ++i) bench.add(1);
  CHECK(bench.step() == Rows{1, 1, 1, 1, 0});
  CHECK(bench.scheduler.waiting() == 1);
  bench.scheduler.remove(bench.sequences[1]);
  CHECK(bench.step() == Rows{1, 0, 1, 1, 1});
}

TEST_CASE("a prompt waits until its pages suffice, and nobody overtakes it") {
  Bench bench(limits(16));
  bench.add(30);  // wants 34 positions: 9 of 16 pages
  bench.step(), bench.step();
  bench.add(30), bench.add(1);
  CHECK(bench.step() == Rows{1, 0, 0});
  bench.scheduler.remove(bench.sequences[0]);
  CHECK(bench.step() == Rows{0, 15, 1});
}

TEST_CASE("when pages run out the youngest goes back and is computed again from its tokens") {
  Bench bench(limits(8));
  Sequence& old = bench.add(12, 32);
  Sequence& young = bench.add(8, 32);
  CHECK(bench.step() == Rows{12, 4});  // they want 4 and 3 of 8 pages: both are admitted
  CHECK(bench.step() == Rows{1, 4});
  int steps = 0;
  while (bench.scheduler.preemptions() == 0 && ++steps < 100) bench.step();
  REQUIRE(bench.scheduler.preemptions() == 1);
  CHECK(young.stored == 0);
  CHECK(young.pages[0].empty());
  const size_t tokens = young.tokens.size();
  CHECK(tokens > 8);
  CHECK(bench.scheduler.waiting() == 1);
  while (old.tokens.size() < 32) CHECK(bench.step() == Rows{1, 0});
  bench.scheduler.remove(old);
  while (young.stored == 0 || young.pending() > 1) bench.step();
  CHECK(young.tokens.size() == tokens + 1);
  bench.scheduler.remove(young);
  CHECK(bench.scheduler.pages_used() == 0);
  CHECK(bench.scheduler.idle());
}

TEST_CASE("a window gives back the pages that it has passed") {
  ExecutorLimits l = limits(16);
  l.groups = {{window(6), 4, 4}};
  Bench bench(l);
  Sequence& s = bench.add(50);
  for (int i = 0; i < 20; ++i) {
    bench.step();
    const int64_t first = first_visible(window(6), s.stored - 1) / 4;
    for (int64_t page = 0; page < static_cast<int64_t>(s.pages[0].size()); ++page)
      if (page >= first) CHECK(s.pages[0][static_cast<size_t>(page)] >= 0);
    CHECK(bench.scheduler.pages_used() <= 4);
  }
  CHECK(s.pages[0].front() == -1);
  CHECK(s.stored > 50);
  bench.scheduler.remove(s);
  CHECK(bench.scheduler.pages_used() == 0);
}

TEST_CASE("a pool too small for the context makes the context smaller") {
  CHECK(*Scheduler::usable_context(limits(100)) == 64);
  CHECK(*Scheduler::usable_context(limits(5)) == 20);
  ExecutorLimits l = limits(100);
  l.groups.push_back({window(10), 4, 3});
  CHECK(Scheduler::usable_context(l).status().message() ==
        "state group 1 (window(10)) has 3 pages of 4 tokens, expected at least 4");
  l.groups[1].num_pages = 4;
  CHECK(*Scheduler::usable_context(l) == 64);
  l.groups[1].num_pages = 0;
  CHECK(Scheduler::usable_context(l).status().message() ==
        "state group 1 has 0 pages of 4 tokens, expected at least 1 of each");
}

TEST_CASE("a recurrent state is one page a sequence") {
  ExecutorLimits l = limits(16);
  l.groups = {{recurrent(128), 64, 3}};
  Bench bench(l);
  for (int i = 0; i < 4; ++i) bench.add(2);
  CHECK(bench.step() == Rows{2, 2, 2, 0});
  CHECK(bench.scheduler.pages_used() == 3);
  bench.scheduler.remove(bench.sequences[0]);
  CHECK(bench.step() == Rows{0, 1, 1, 2});
}

}  // namespace
}  // namespace tare
