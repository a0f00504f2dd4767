#include "autotune/run/key_tuner.hpp"

#include <algorithm>

#include "autotune/store/problem_text.hpp"

namespace tare {
namespace {

constexpr StoppingRule kFinal{.least = 7, .most = 51, .spread = 0.008, .seconds = 0.12, .hopeless = 1.25};
constexpr StoppingRule kConfirm{.least = 11, .most = 101, .spread = 0.008, .seconds = 0.3, .hopeless = 1.25};

std::string name_of(const TriedCandidate& t) { return t.kernel + " " + t.config; }

}  // namespace

KeyTuner::KeyTuner(KeyTools tools, ProblemBench& bench, ExactnessGate& gate, const TuningKey& key)
    : tools_(std::move(tools)),
      bench_(bench),
      gate_(gate),
      key_(key),
      watch_(bench, tools_.timer),
      operations_(bench.flops(key.rows)),
      edges_{key.rows} {
  if (first_of_bucket(key.rows) != key.rows) edges_.push_back(first_of_bucket(key.rows));
}

Result<std::string> KeyTuner::gate(const Contestant& c) {
  auto made = bench_.prepare(*c.kernel, c.config, key_.rows);
  std::string reason = made.ok() ? "" : "does not run: " + made.status().message();
  if (reason.empty()) {
    const auto& prepared = ready_.insert_or_assign(c.name(), std::move(*made)).first->second;
    TARE_ASSIGN_OR_RETURN(reason, gate_.check(bench_, prepared, edges_));
  }
  if (!reason.empty()) tools_.gate_fails({key_, std::string(c.kernel->id()), to_string(c.config), reason});
  return reason;
}

// Of one that passed in an earlier run, too.
Result<const ProblemBench::Prepared*> KeyTuner::prepared_of(const Contestant& c) {
  auto at = ready_.find(c.name());
  if (at == ready_.end()) {
    TARE_ASSIGN_OR_RETURN(auto made, bench_.prepare(*c.kernel, c.config, key_.rows));
    TARE_RETURN_IF_ERROR(bench_.launch(made, key_.rows));
    TARE_RETURN_IF_ERROR(bench_.stream().synchronize());
    at = ready_.emplace(c.name(), std::move(made)).first;
  }
  return &at->second;
}

// The default itself has to pass; where it does not, the first that does takes its place.
Status KeyTuner::settle_default(KeyOutcome& outcome) {
  while (!contestants_.empty()) {
    TARE_ASSIGN_OR_RETURN(const std::string reason, gate(contestants_.front()));
    if (reason.empty()) return {};
    outcome.tried.push_back({contestants_.front().name(), 0, 0, reason});
    TARE_RETURN_IF_ERROR(save(0, {0, 0, reason}));
    contestants_.erase(contestants_.begin());
  }
  outcome.state = KeyOutcome::State::failed, outcome.note = "every kernel failed the exactness gate";
  return {};
}

// With what an earlier run left. Its times belong to another minute: they are scaled by what the default takes now.
Result<std::vector<SearchCandidate>> KeyTuner::candidates(KeyOutcome& outcome) {
  // Cold weights have to be read. Activations may lie in a cache, and the rate of arithmetic is what some kernel
  // reached: a default that is faster than either says nothing of the others.
  const double rate = tools_.bytes_per_second;
  const double least = rate > 0 ? 0.98 * static_cast<double>(bench_.weight_bytes()) / rate : 0;
  outcome.roofline_us = roofline() * 1e6;
  std::vector<SearchCandidate> out;
  TARE_ASSIGN_OR_RETURN(const auto before, tools_.database.tried(key_));
  double default_before = 0;
  for (const Contestant& c : contestants_) {
    out.push_back({c.name(), least, {}, ""});
    for (const TriedCandidate& t : before) {
      if (name_of(t) != out.back().name) continue;
      if (out.size() == 1 && t.us > 0) default_before = t.us * 1e-6;
      if (out.size() == 1 || t.hash != c.kernel->hash()) continue;  // the default has just passed
      out.back().refused = t.refused;
      if (t.refused.empty()) out.back().known_seconds = t.us * 1e-6;
    }
  }
  tried_.resize(out.size());
  for (size_t c = 0; c < out.size(); ++c)
    if (out[c].known_seconds || !out[c].refused.empty())
      tried_[c] = {out[c].name, out[c].known_seconds.value_or(0) * 1e6, 0, out[c].refused};
  if (default_before <= 0) return out;
  TARE_ASSIGN_OR_RETURN(const SearchCost now, quick(0));
  for (SearchCandidate& c : out)
    if (c.known_seconds) *c.known_seconds *= now.seconds / default_before;
  out[0].known_seconds = now.seconds;
  return out;
}

Result<SearchCost> KeyTuner::quick(size_t c) {
  TARE_ASSIGN_OR_RETURN(const Prepared* const base, prepared_of(contestants_[0]));
  std::vector<const Prepared*> both{base};
  if (c > 0) {
    TARE_ASSIGN_OR_RETURN(std::string reason, gate(contestants_[c]));
    if (!reason.empty()) return SearchCost{0, 0, std::move(reason)};
    TARE_ASSIGN_OR_RETURN(const Prepared* const other, prepared_of(contestants_[c]));
    both.push_back(other);
  } else {
    TARE_RETURN_IF_ERROR(watch_.unit(*base, key_.rows, 1)());  // wakes the device
    TARE_ASSIGN_OR_RETURN(const auto once, watch_.time(both, key_.rows, {.least = 2, .most = 2}, 1));
    launches_ = Stopwatch::launches_for(once[0].best);
  }
  TARE_ASSIGN_OR_RETURN(const auto timings, watch_.time(both, key_.rows, kQuickRule, launches_));
  if (c == 0) base_seconds_ = timings[0].median;
  // Beside the default of the same minute, so that a change of the machine's load counts for nothing.
  const double drift = base_seconds_ / timings[0].median;
  return SearchCost{timings.back().median * drift, timings.back().spread * drift, ""};
}

Result<std::vector<EdgeTimes>> KeyTuner::time_edges(std::span<const Prepared* const> prepared, const StoppingRule& rule,
                                                    const Launcher& beside, Timing* beside_time) {
  TARE_ASSIGN_OR_RETURN(auto last, watch_.time(prepared, key_.rows, rule, launches_, beside));
  if (beside) *beside_time = last.back(), last.pop_back();
  auto first = last;
  if (edges_.size() > 1) {
    TARE_ASSIGN_OR_RETURN(first, watch_.time(prepared, edges_[1], rule, launches_));
  }
  std::vector<EdgeTimes> out;
  for (size_t i = 0; i < last.size(); ++i) out.push_back({first[i], last[i]});
  return out;
}

Result<std::vector<SearchCost>> KeyTuner::final_round(std::span<const size_t> last) {
  std::vector<const Prepared*> prepared;
  for (const size_t c : last) {
    TARE_ASSIGN_OR_RETURN(const Prepared* const one, prepared_of(contestants_[c]));
    prepared.push_back(one);
  }
  TARE_ASSIGN_OR_RETURN(VendorBaseline* const vendor, tools_.vendor());
  Launcher beside;
  if (vendor != nullptr) {
    TARE_ASSIGN_OR_RETURN(const int way, vendor->best_way(key_.rows, launches_));
    beside = vendor->unit(key_.rows, way, launches_);
  }
  Timing vendor_time;
  TARE_ASSIGN_OR_RETURN(times_, time_edges(prepared, kFinal, beside, &vendor_time));
  if (tools_.options.sensors != nullptr) sensors_ = tools_.options.sensors->read();
  vendor_seconds_ = vendor_time.median;
  finalists_.assign(last.begin(), last.end());
  std::vector<SearchCost> costs;
  for (const EdgeTimes& one : times_) costs.push_back(cost_beside(times_[0], one, edges_.back()));
  if (tools_.options.sustained_from > 0 && key_.rows >= tools_.options.sustained_from)
    TARE_RETURN_IF_ERROR(compare_sustained(last, prepared, costs));
  return costs;
}

// The two best, where their bursts are close: what is slower when it runs for long is out.
Status KeyTuner::compare_sustained(std::span<const size_t> last, std::span<const Prepared* const> prepared,
                                   std::vector<SearchCost>& costs) {
  std::vector<size_t> order;  // what may win, fastest first
  for (size_t i = 0; i < costs.size(); ++i)
    if (costs[i].refused.empty()) order.push_back(i);
  std::ranges::sort(order, {}, [&](size_t i) { return costs[i].seconds; });
  if (order.size() < 2 || costs[order[1]].seconds > (1 + TunerOptions::kCloseBursts) * costs[order[0]].seconds)
    return {};
  TARE_ASSIGN_OR_RETURN(const auto hot, watch_.sustained({prepared[order[0]], prepared[order[1]]}, key_.rows, launches_,
                                                         tools_.options.sustained_slice));
  for (const size_t i : {0, 1}) sustained_seconds_[last[order[i]]] = hot[i];
  const size_t loser = hot[0] > hot[1] ? 0 : 1;
  if (order[loser] != 0 && hot[loser] > (1 + kLeastGain) * hot[1 - loser])
    costs[order[loser]].refused = text("slower when sustained: ", hot[loser] * 1e6, " us, ",
                                       contestants_[last[order[1 - loser]]].name(), " ", hot[1 - loser] * 1e6, " us");
  return {};
}

// Fresh instances and scratch, other copies of the weights first, the challenger before the default.
Result<std::array<SearchCost, 2>> KeyTuner::confirm(size_t c) {
  bench_.refresh();
  ready_.clear();
  std::vector<const Prepared*> prepared;
  for (const size_t one : {c, size_t{0}}) {
    TARE_ASSIGN_OR_RETURN(const Prepared* const made, prepared_of(contestants_[one]));
    prepared.push_back(made);
  }
  TARE_ASSIGN_OR_RETURN(const auto times, time_edges(prepared, kConfirm));
  again_ = {.challenger = c, .own = times[0], .standard = times[1]};
  return std::array{cost_beside(times[1], times[1], edges_.back()), cost_beside(times[1], times[0], edges_.back())};
}

SearchCallbacks KeyTuner::callbacks() {
  SearchCallbacks out;
  out.quick = [this](size_t c) { return quick(c); };
  out.final_round = [this](std::span<const size_t> last) { return final_round(last); };
  out.confirm = [this](size_t c) { return confirm(c); };
  out.save = [this](size_t c, const SearchCost& cost) {
    tried_[c] = {contestants_[c].name(), cost.seconds * 1e6, cost.spread * 1e6, cost.refused};
    return save(c, cost);
  };
  out.out_of_time = tools_.is_over;
  return out;
}

Status KeyTuner::choose(std::vector<Contestant> contestants, KeyOutcome& outcome) {
  contestants_ = std::move(contestants);
  TARE_RETURN_IF_ERROR(settle_default(outcome));
  if (contestants_.empty()) return {};
  TARE_ASSIGN_OR_RETURN(const std::vector<SearchCandidate> all, candidates(outcome));
  TARE_ASSIGN_OR_RETURN(const SearchOutcome found, search(all, callbacks()));
  for (TriedOutcome& t : tried_)
    if (!t.name.empty()) outcome.tried.push_back(std::move(t));
  outcome.measured = static_cast<int64_t>(found.measured), outcome.pruned = static_cast<int64_t>(found.pruned);
  outcome.resumed = static_cast<int64_t>(found.resumed), outcome.unconfirmed = static_cast<int64_t>(found.unconfirmed);
  if (!found.complete) return {};  // what was tried is kept; the next run goes on
  outcome.entry = {key_, value(found)}, outcome.state = KeyOutcome::State::tuned;
  outcome.baseline_first_us = times_[0].first.median * 1e6;
  return tools_.database.put({&outcome.entry, 1});
}

TuningValue KeyTuner::value(const SearchOutcome& found) {
  // Of a winner the figures of its confirmation are kept: they did not make it the finalist.
  if (found.best != 0) times_[finalist(again_.challenger)] = again_.own, times_[0] = again_.standard;
  const EdgeTimes& best = times_[finalist(found.best)];
  seen_operations_ = operations_ / best.last.median;
  if (tools_.options.bytes_per_second > 0) seen_bytes_ = static_cast<double>(bench_.weight_bytes()) / best.last.median;
  const Contestant& chosen = contestants_[found.best];
  TuningValue v;
  v.kernel = chosen.kernel->id(), v.config = to_string(chosen.config);
  v.us = best.last.median * 1e6, v.spread = best.last.spread * 1e6, v.first_us = best.first.median * 1e6;
  if (found.runner_up) {
    v.runner_up = contestants_[*found.runner_up].name();
    v.runner_up_us = times_[finalist(*found.runner_up)].last.median * 1e6;
  }
  v.gb_s = static_cast<double>(bench_.weight_bytes()) / best.last.median * 1e-9;
  v.share = roofline() / best.last.median;
  v.baseline = contestants_[0].name(), v.baseline_us = times_[0].last.median * 1e6;
  v.vendor_us = vendor_seconds_ * 1e6, v.megahertz = sensors_.megahertz, v.watts = sensors_.watts;
  if (const auto hot = sustained_seconds_.find(found.best); hot != sustained_seconds_.end())
    v.sustained_us = hot->second * 1e6;
  v.exact = true, v.hash = chosen.kernel->hash(), v.versions = tools_.options.versions, v.date = today();
  return v;
}

size_t KeyTuner::finalist(size_t c) const {
  return static_cast<size_t>(std::ranges::find(finalists_, c) - finalists_.begin());
}

Status KeyTuner::save(size_t c, const SearchCost& cost) {
  const Contestant& one = contestants_[c];
  return tools_.database.put(TriedCandidate{key_, std::string(one.kernel->id()), to_string(one.config),
                                            one.kernel->hash(), cost.seconds * 1e6, cost.spread * 1e6, cost.refused,
                                            today()});
}

// The least seconds that the bytes and the arithmetic allow; 0: unknown.
double KeyTuner::roofline() const {
  const double rate = std::max(tools_.bytes_per_second, seen_bytes_);
  if (rate <= 0) return 0;
  const double bytes = static_cast<double>(bench_.weight_bytes() + bench_.activation_bytes(key_.rows));
  const double peak = tools_.peak();
  return std::max(bytes / rate, peak > 0 ? operations_ / std::max(peak, seen_operations_) : 0);
}

}  // namespace tare
