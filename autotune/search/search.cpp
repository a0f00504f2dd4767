#include "autotune/search/search.hpp"

#include <algorithm>

namespace tare {
namespace {

// Faster beyond the noise of both.
bool beats(const SearchCost& cost, const SearchCost& standard) {
  return standard.seconds - cost.seconds > std::max(cost.spread, standard.spread);
}
// Does what won the final round win every confirmation, by more than half of what two confirmations differ by? Then
// `out` has the last one's costs, of the default and of it.
Result<bool> wins_again(const SearchCallbacks& callbacks, size_t candidate, std::array<SearchCost, 2>& out) {
  double least = 1, most = 0;  // gains, shares of the default's time
  for (int i = 0; i < kConfirmations; ++i) {
    TARE_ASSIGN_OR_RETURN(out, callbacks.confirm(candidate));
    if (!out[1].refused.empty() || !beats(out[1], out[0])) return false;
    const double gain = 1 - out[1].seconds / out[0].seconds;
    least = std::min(least, gain), most = std::max(most, gain);
  }
  return least > (most - least) / 2;
}
// Positions of what beats the first, the default, fastest first.
std::vector<size_t> winners(std::span<const SearchCost> costs) {
  std::vector<size_t> out;
  for (size_t i = 1; i < costs.size(); ++i)
    if (costs[i].refused.empty() && beats(costs[i], costs[0])) out.push_back(i);
  std::ranges::sort(out, {}, [&](size_t i) { return costs[i].seconds; });
  return out;
}

}  // namespace

Result<SearchOutcome> search(std::span<const SearchCandidate> candidates, const SearchCallbacks& callbacks,
                             size_t finalists) {
  if (candidates.empty()) return invalid("a search needs candidates, the default first");
  SearchOutcome out;
  std::vector<std::pair<double, size_t>> ranked;  // quick seconds, candidate
  double leader = 0;
  for (size_t c = 0; c < candidates.size(); ++c) {
    const SearchCandidate& candidate = candidates[c];
    SearchCost cost;
    if (!candidate.refused.empty()) {
      cost.refused = candidate.refused, ++out.resumed;
    } else if (candidate.known_seconds) {
      cost.seconds = *candidate.known_seconds, ++out.resumed;
    } else {
      if (c > 0 && leader > 0 && candidate.least_seconds > leader) {
        ++out.pruned;
        continue;
      }
      if (c > 0 && callbacks.out_of_time && callbacks.out_of_time()) {
        out.complete = false;
        break;
      }
      TARE_ASSIGN_OR_RETURN(cost, callbacks.quick(c));
      ++out.measured;
      if (callbacks.save) TARE_RETURN_IF_ERROR(callbacks.save(c, cost));
    }
    if (!cost.refused.empty()) {
      if (c == 0) return failure(Code::internal, "the default ", candidate.name, " is out: ", cost.refused);
      ++out.refused;
      continue;
    }
    ranked.push_back({cost.seconds, c});
    if (leader == 0 || cost.seconds < leader) leader = cost.seconds;
    if (c == 0) out.default_cost = cost;
  }
  std::ranges::sort(ranked);
  std::vector<size_t> last{0};
  for (const auto& [seconds, c] : ranked)
    if (c != 0 && last.size() <= finalists) last.push_back(c);
  TARE_ASSIGN_OR_RETURN(const std::vector<SearchCost> costs, callbacks.final_round(last));
  if (costs.size() != last.size()) return failure(Code::internal, "a final round gave ", costs.size(), " costs");
  out.default_cost = out.best_cost = costs[0];
  size_t best = 0;
  for (const size_t i : winners(costs)) {
    if (!callbacks.confirm) {
      best = i, out.best_cost = costs[i];
      break;
    }
    std::array<SearchCost, 2> again;
    TARE_ASSIGN_OR_RETURN(const bool wins, wins_again(callbacks, last[i], again));
    if (wins) {
      best = i, out.default_cost = again[0], out.best_cost = again[1];
      break;
    }
    ++out.unconfirmed;
  }
  out.best = last[best];
  for (size_t i = 0; i < last.size(); ++i)
    if (i != best && costs[i].refused.empty() && (!out.runner_up || costs[i].seconds < out.runner_up_cost.seconds))
      out.runner_up = last[i], out.runner_up_cost = costs[i];
  return out;
}

}  // namespace tare
