// The search for one key's best candidate. It knows nothing of kernels: candidates in, costs in, best out. The first
// candidate is the default; what does not beat it beyond the spread is not chosen, so that tuned is never slower than
// untuned. Pure but for the callbacks; [one thread].
#pragma once
#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autotune/measure/measure.hpp"

namespace tare {

struct SearchCandidate {
  std::string name;                     // "KERNEL CONFIG": unique
  double least_seconds = 0;             // roofline: it cannot be faster; 0: unknown
  std::optional<double> known_seconds;  // from a search before this one that was interrupted
  std::string refused;                  // known to be out
};
struct SearchCost {
  double seconds = 0, spread = 0;
  std::string refused;  // other bits, failed to launch: out; empty: measured
};
struct SearchCallbacks {
  // A quick cost of one candidate. Called once for each that is neither known nor pruned.
  std::function<Result<SearchCost>(size_t candidate)> quick;
  // The final round: all of them interleaved, the default first. The costs by position.
  std::function<Result<std::vector<SearchCost>>(std::span<const size_t> candidates)> final_round;
  // Another, independent measurement of what won the final round over the default: the costs of the default and of it.
  // The minimum of several noisy figures is too low, and what lies in memory by luck stays so for a whole round. Asked
  // kConfirmations times; only what wins each time is chosen, else the next one is asked. Empty: the final round decides
  // alone.
  std::function<Result<std::array<SearchCost, 2>>(size_t candidate)> confirm;
  // After every candidate: what is kept survives whatever comes.
  std::function<Status(size_t candidate, const SearchCost& cost)> save;
  std::function<bool()> out_of_time;
};
constexpr int kConfirmations = 2;
struct SearchOutcome {
  size_t best = 0;  // index; the default when nothing beat it
  std::optional<size_t> runner_up;
  SearchCost best_cost, default_cost, runner_up_cost;  // of a confirmed winner and its default: the last figures
  size_t measured = 0, pruned = 0, refused = 0, resumed = 0;
  size_t unconfirmed = 0;  // won the final round and not each time again
  bool complete = true;    // false: time was up before all were tried
};
// `finalists`: how many, beside the default, are measured again together.
Result<SearchOutcome> search(std::span<const SearchCandidate> candidates, const SearchCallbacks& callbacks,
                             size_t finalists = 2);

}  // namespace tare
