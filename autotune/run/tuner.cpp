#include "autotune/run/tuner.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>

#include "autotune/run/peak.hpp"
#include "autotune/run/wall_timer.hpp"
#include "autotune/store/problem_text.hpp"

namespace tare {
namespace {

constexpr StoppingRule kQuick{.least = 3, .most = 5, .spread = 0.03, .seconds = 0.06, .hopeless = 1.25};
constexpr StoppingRule kFinal{.least = 7, .most = 25, .spread = 0.008, .seconds = 0.12, .hopeless = 1.25};
constexpr StoppingRule kConfirm{.least = 11, .most = 25, .spread = 0.008, .seconds = 0.3, .hopeless = 1.25};
constexpr double kLeastGain = 0.01;          // what is less faster than the default than this does not replace it
constexpr double kLeastNumericsGain = 0.03;  // over all rows points, for another order of sums than the first
constexpr double kUnit = 250e-6;             // seconds that one measured unit of launches takes at least

std::string code_of(const std::string& layout) { return layout.substr(0, layout.find('/')); }

class Tuner {
 public:
  Tuner(Device& device, const DeviceInfo& info, const Registry& registry, TuningDatabase& database,
        const TunerOptions& options)
      : device_(device), info_(info), registry_(registry), database_(database), o_(options) {
    timer_ =
        options.timer != nullptr ? options.timer : static_cast<LaunchTimer*>(device.query(LaunchTimer::kInterface));
    if (timer_ == nullptr) timer_ = &wall_;
    now_ = options.now ? options.now : [] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
    start_ = now_();
    out_.bytes_per_second = options.bytes_per_second;
    memory_.data = options.data;
  }

  Result<TunerOutcome> run(std::span<const TuningProblem> problems) {
    if (!database_.writable())
      return failure(Code::unavailable, "the tuning database ", database_.path(),
                     " is read-only: nothing could be kept in it; name another with --database");
    // Layout by layout, plain ones first: a budget that ends leaves the commonest choices done.
    std::vector<std::string> layouts;
    for (const TuningProblem& p : problems)
      for (std::string& layout : layouts_of(registry_, p.problem, o_.layouts)) {
        total_ += std::ssize(p.points);
        if (std::ranges::find(layouts, layout) == layouts.end()) layouts.push_back(std::move(layout));
      }
    std::ranges::stable_partition(layouts, [](const std::string& l) { return code_of(l) == "dense"; });
    for (const std::string& layout : layouts)
      for (const TuningProblem& p : problems)
        if (const auto fitting = layouts_of(registry_, p.problem, o_.layouts);
            std::ranges::find(fitting, layout) != fitting.end())
          TARE_RETURN_IF_ERROR(tune(p, layout).in(p.printed));
    out_.seconds = now_() - start_;
    return std::move(out_);
  }

 private:
  bool is_over() {
    if (o_.stopped && o_.stopped()) out_.stopped = true;
    if (o_.budget > 0 && now_() - start_ >= o_.budget) out_.out_of_time = true;
    return out_.stopped || out_.out_of_time;
  }
  void show(const std::string& doing) const {
    if (o_.progress) o_.progress({done_, total_, doing});
  }
  Clock clock() const {
    return [this] { return timer_->now(); };
  }
  // A measured unit: some launches in a row, each on cold weights.
  Launcher unit(ProblemBench& bench, const ProblemBench::Prepared* prepared, int64_t rows, int64_t launches) {
    return [this, &bench, prepared, rows, launches] {
      return timer_->run(bench.stream(), [&] {
        for (int64_t i = 0; i < launches; ++i) TARE_RETURN_IF_ERROR(bench.launch(*prepared, rows));
        return Status();
      });
    };
  }
  // Seconds of one launch of each, interleaved. `beside`: a unit of as many launches that is measured with them, last.
  Result<std::vector<Timing>> time(ProblemBench& bench, std::span<const ProblemBench::Prepared* const> prepared,
                                   int64_t rows, const StoppingRule& rule, int64_t launches,
                                   const Launcher& beside = {}) {
    std::vector<Launcher> launchers;
    for (const auto* p : prepared) launchers.push_back(unit(bench, p, rows, launches));
    if (beside) launchers.push_back(beside);
    TARE_ASSIGN_OR_RETURN(std::vector<Timing> out, measure(launchers, clock(), rule));
    for (Timing& t : out)
      for (double* v : {&t.median, &t.spread, &t.best}) *v /= static_cast<double>(launches);
    return out;
  }
  static int64_t launches_for(double seconds) {
    return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(kUnit / std::max(seconds, 1e-9))), 1, 32);
  }

  // Seconds of one launch of each of two when nothing else runs for long: slices in the order A B A B B A, since
  // whoever comes second is hotter; the first two only warm the device.
  Result<std::array<double, 2>> sustained(ProblemBench& bench, std::array<const ProblemBench::Prepared*, 2> both,
                                          int64_t rows, int64_t launches) {
    std::array<double, 2> seconds{};
    std::array<int64_t, 2> count{};
    int slice = 0;
    for (const size_t who : {0, 1, 0, 1, 1, 0}) {
      const bool counts = slice++ >= 2;
      for (const double start = timer_->now(); timer_->now() - start < o_.sustained_slice;) {
        const double before = timer_->now();
        TARE_RETURN_IF_ERROR(unit(bench, both[who], rows, launches)());
        if (timer_->now() <= before) return failure(Code::internal, "the timer of launches stands still");
        if (counts) seconds[who] += timer_->now() - before, count[who] += launches;
      }
    }
    for (const size_t who : {0, 1}) seconds[who] /= static_cast<double>(std::max<int64_t>(1, count[who]));
    return seconds;
  }
  // The vendor's product for a problem, made when it is first asked for; null: there is none.
  Result<VendorBaseline*> vendor_for(const TuningProblem& p) {
    if (o_.vendor == nullptr || o_.data == nullptr) return nullptr;
    if (vendor_is_ != p.printed) {
      vendor_.reset();
      TARE_ASSIGN_OR_RETURN(vendor_, VendorBaseline::create(device_, *o_.vendor, *o_.data, *timer_, p.problem,
                                                            p.points.back(), o_.cold_bytes));
      vendor_is_ = p.printed;
    }
    return vendor_.get();
  }

  // The order of sums of a problem: kept from before, or measured once.
  Result<std::vector<std::string>> orders(const TuningProblem& p, const std::string& layout) {
    const std::string first = first_op_of(p.printed);
    std::vector<std::string> offered = numerics_of(registry_, p.problem, p.points);
    if (offered.empty()) return std::vector<std::string>();
    TARE_ASSIGN_OR_RETURN(std::string kept, database_.numerics(info_.sku, first));
    const bool noted = std::ranges::any_of(out_.numerics, [&](const auto& n) { return n.problem == first; });
    if (!kept.empty()) {
      if (!noted) out_.numerics.push_back({first, kept, true, {}});
      if (std::ranges::find(offered, kept) == offered.end())
        return std::vector<std::string>();  // no kernel of this build adds so
    } else {
      NumericsChoice choice{first, offered.front(), false, {}};
      if (o_.choose_numerics && offered.size() > 1) TARE_RETURN_IF_ERROR(compare_orders(p, layout, offered, choice));
      if (is_over()) return std::vector<std::string>();
      TARE_ASSIGN_OR_RETURN(kept, database_.keep_numerics(info_.sku, first, choice.numerics));
      choice.numerics = kept;
      out_.numerics.push_back(std::move(choice));
    }
    if (!o_.every_numerics) return std::vector<std::string>{kept};
    std::erase(offered, kept);
    offered.insert(offered.begin(), kept);
    return offered;
  }
  Status compare_orders(const TuningProblem& p, const std::string& layout, const std::vector<std::string>& offered,
                        NumericsChoice& choice) {
    show("which order of sums, " + first_op_of(p.printed));
    TARE_ASSIGN_OR_RETURN(ProblemBench * bench, bench_for(p, layout));
    std::vector<double> logs(offered.size());
    std::vector<int64_t> at{p.points.front(), p.points[p.points.size() / 2], p.points.back()};
    at.erase(std::unique(at.begin(), at.end()), at.end());
    for (const int64_t rows : at) {
      std::vector<ProblemBench::Prepared> made_ready;
      std::vector<const ProblemBench::Prepared*> prepared;
      for (const std::string& id : offered) {
        const auto contestant = default_for(registry_, at_rows(p.problem, rows), layout, id);
        if (!contestant) return {};  // this layout does not tell: the first stays
        auto made = bench->prepare(*contestant->kernel, contestant->config, rows);
        if (!made.ok()) return {};
        TARE_RETURN_IF_ERROR(bench->launch(*made, rows));
        TARE_RETURN_IF_ERROR(bench->stream().synchronize());
        made_ready.push_back(std::move(*made));
      }
      for (const auto& one : made_ready) prepared.push_back(&one);
      TARE_ASSIGN_OR_RETURN(const auto timings, time(*bench, prepared, rows, kQuick, 1));
      for (size_t i = 0; i < offered.size(); ++i)
        logs[i] += std::log(timings[i].median / timings[0].median) / static_cast<double>(at.size());
    }
    size_t best = 0;
    for (size_t i = 0; i < offered.size(); ++i) {
      choice.measured.emplace_back(offered[i], std::exp(logs[i]));
      if (logs[i] < std::min(logs[best], std::log(1 - kLeastNumericsGain))) best = i;
    }
    choice.numerics = offered[best];
    return {};
  }

  Result<ProblemBench*> bench_for(const TuningProblem& p, const std::string& layout) {
    if (bench_ != nullptr && bench_is_ == std::pair(p.printed, layout)) return bench_.get();
    bench_.reset();
    TARE_ASSIGN_OR_RETURN(
        bench_, ProblemBench::create(device_, registry_, p.problem, layout, p.points.back(), o_.cold_bytes, memory_));
    bench_is_ = {p.printed, layout};
    if (o_.data != nullptr) {
      show("compiling for " + p.printed);
      warm(*bench_, registry_, p.problem, layout, p.points);
    }
    return bench_.get();
  }

  Status tune(const TuningProblem& p, const std::string& layout) {
    gate_.reset();
    const int64_t done = done_;
    std::vector<std::string> ids;
    if (!is_over()) {
      TARE_ASSIGN_OR_RETURN(ids, orders(p, layout));
    }
    for (const std::string& id : ids) {
      gate_.reset();
      for (const int64_t point : p.points) TARE_RETURN_IF_ERROR(tune(p, {info_.sku, p.printed, layout, id, point}));
    }
    if (ids.empty() && (out_.out_of_time || out_.stopped))
      for (const int64_t point : p.points) out_.keys.push_back({.key = {info_.sku, p.printed, layout, "", point}});
    done_ = done + std::ssize(p.points);
    return {};
  }

  // What an earlier run left for a key, as long as the kernel is the same.
  Result<bool> is_known(const TuningKey& key, KeyOutcome& outcome) {
    TARE_ASSIGN_OR_RETURN(const auto entry, database_.entry(key));
    if (!entry) return false;
    const KernelCandidate* kernel = registry_.kernel(entry->value.kernel);
    if (kernel == nullptr || kernel->hash() != entry->value.hash) return false;
    outcome.entry = *entry;
    TARE_ASSIGN_OR_RETURN(const auto tried, database_.tried(key));
    for (const TriedCandidate& t : tried)
      outcome.tried.push_back({t.kernel + " " + t.config, t.us, t.spread, t.refused});
    std::ranges::stable_partition(outcome.tried, [&](const auto& t) { return t.name == entry->value.baseline; });
    outcome.state = KeyOutcome::State::known;
    return true;
  }

  // What a difference of two medians has to exceed: the spread, and where there were few rounds two standard errors of
  // the difference (of a median: 1.25 * 1.48 * the median distance over the root of the rounds, were times normal).
  static double noise_of(const Timing& t) {
    return t.spread * std::max(1.0, 5.2 / std::sqrt(static_cast<double>(std::max(1, t.rounds))));
  }
  // Of a contestant beside the default of the same round, at the first and the last row count of the bucket.
  static SearchCost cost_beside(const Timing& first0, const Timing& last0, const Timing& first, const Timing& last,
                                int64_t first_rows) {
    SearchCost out{last.median, std::max({noise_of(last), noise_of(last0), kLeastGain * last0.median}), ""};
    if (first.median - first0.median > std::max(first0.spread, kLeastGain * first0.median))
      out.refused = text("slower than the default at ", first_rows, " rows");
    return out;
  }

  Status tune(const TuningProblem& p, const TuningKey& key) {
    KeyOutcome outcome{.key = key};
    TARE_ASSIGN_OR_RETURN(const bool known, is_known(key, outcome));
    if (!known && !is_over()) TARE_RETURN_IF_ERROR(tune(p, key, outcome));
    out_.keys.push_back(std::move(outcome));
    ++done_;
    return {};
  }

  Status tune(const TuningProblem& p, const TuningKey& key, KeyOutcome& outcome) {
    show(text(key.layout, ", ", key.rows, key.rows == 1 ? " row of " : " rows of ", p.printed));
    const Problem problem = at_rows(p.problem, key.rows);
    std::vector<Contestant> contestants = contestants_for(registry_, problem, key.layout, key.numerics);
    if (contestants.empty()) {
      outcome.state = KeyOutcome::State::failed;
      outcome.note = text("no kernel reads ", key.layout, " in the order ", key.numerics);
      return {};
    }
    TARE_ASSIGN_OR_RETURN(ProblemBench* const bench, bench_for(p, key.layout));
    if (gate_ == nullptr) {
      TARE_ASSIGN_OR_RETURN(gate_, ExactnessGate::create(device_, registry_, p.problem, key.layout, key.numerics,
                                                         p.points.back(), o_.data));
    }
    std::vector<int64_t> edges{key.rows};
    if (first_of_bucket(key.rows) != key.rows) edges.push_back(first_of_bucket(key.rows));
    // A contestant is prepared once, for its gate and for all that is measured of it.
    std::map<std::string, ProblemBench::Prepared> ready;
    const auto gate = [&](const Contestant& c) -> Result<std::string> {
      auto made = bench->prepare(*c.kernel, c.config, key.rows);
      std::string reason = made.ok() ? "" : "does not run: " + made.status().message();
      if (reason.empty()) {
        const auto& prepared = ready.insert_or_assign(c.name(), std::move(*made)).first->second;
        TARE_ASSIGN_OR_RETURN(reason, gate_->check(*bench, prepared, edges));
      }
      if (!reason.empty()) out_.failures.push_back({key, std::string(c.kernel->id()), to_string(c.config), reason});
      return reason;
    };
    // Of one that passed in an earlier run, too.
    const auto prepared_of = [&](const Contestant& c) -> Result<const ProblemBench::Prepared*> {
      auto at = ready.find(c.name());
      if (at == ready.end()) {
        TARE_ASSIGN_OR_RETURN(auto made, bench->prepare(*c.kernel, c.config, key.rows));
        TARE_RETURN_IF_ERROR(bench->launch(made, key.rows));
        TARE_RETURN_IF_ERROR(bench->stream().synchronize());
        at = ready.emplace(c.name(), std::move(made)).first;
      }
      return &at->second;
    };
    // The default itself has to pass; where it does not, the first that does takes its place.
    while (!contestants.empty()) {
      TARE_ASSIGN_OR_RETURN(const std::string reason, gate(contestants.front()));
      if (reason.empty()) break;
      outcome.tried.push_back({contestants.front().name(), 0, 0, reason});
      TARE_RETURN_IF_ERROR(save(key, contestants.front(), {0, 0, reason}));
      contestants.erase(contestants.begin());
    }
    if (contestants.empty()) {
      outcome.state = KeyOutcome::State::failed, outcome.note = "every kernel failed the exactness gate";
      return {};
    }
    const double operations = bench->flops(key.rows);
    const double roofline = roofline_of(*bench, key, operations);
    outcome.roofline_us = roofline * 1e6;

    std::vector<SearchCandidate> candidates;
    TARE_ASSIGN_OR_RETURN(const auto before, database_.tried(key));
    for (const Contestant& c : contestants) {
      candidates.push_back({c.name(), 0.98 * roofline, {}, ""});
      for (const TriedCandidate& t : before) {
        if (t.kernel + " " + t.config != candidates.back().name || t.hash != c.kernel->hash()) continue;
        candidates.back().refused = t.refused;
        if (t.refused.empty() && candidates.size() > 1) candidates.back().known_seconds = t.us * 1e-6;
      }
    }
    TARE_ASSIGN_OR_RETURN(const ProblemBench::Prepared* const base, prepared_of(contestants[0]));
    double base_seconds = 0;
    int64_t launches = 1;
    std::vector<Timing> first_edge, last_edge;
    std::vector<size_t> finalists;
    struct {
      size_t challenger = 0;
      std::vector<Timing> first, last;  // of the challenger and the default
    } again;
    std::map<size_t, double> sustained_seconds;  // by contestant, of those that were compared so
    double vendor_seconds = 0;
    SensorReading sensors;

    SearchCallbacks callbacks;
    callbacks.quick = [&](size_t c) -> Result<SearchCost> {
      std::vector<const ProblemBench::Prepared*> both{base};
      if (c > 0) {
        TARE_ASSIGN_OR_RETURN(std::string reason, gate(contestants[c]));
        if (!reason.empty()) return SearchCost{0, 0, std::move(reason)};
        TARE_ASSIGN_OR_RETURN(const ProblemBench::Prepared* const other, prepared_of(contestants[c]));
        both.push_back(other);
      } else {
        TARE_RETURN_IF_ERROR(unit(*bench, base, key.rows, 1)());  // wakes the device
        TARE_ASSIGN_OR_RETURN(const auto once, time(*bench, both, key.rows, {.least = 2, .most = 2}, 1));
        launches = launches_for(once[0].best);
      }
      auto timings = time(*bench, both, key.rows, kQuick, launches);
      if (!timings.ok()) return std::move(timings).status();
      if (c == 0) base_seconds = (*timings)[0].median;
      // Beside the default of the same minute, so that a change of the machine's load counts for nothing.
      const double drift = base_seconds / (*timings)[0].median;
      return SearchCost{timings->back().median * drift, timings->back().spread * drift, ""};
    };
    callbacks.final_round = [&](std::span<const size_t> last) -> Result<std::vector<SearchCost>> {
      std::vector<const ProblemBench::Prepared*> prepared;
      for (const size_t c : last) {
        TARE_ASSIGN_OR_RETURN(const ProblemBench::Prepared* const one, prepared_of(contestants[c]));
        prepared.push_back(one);
      }
      TARE_ASSIGN_OR_RETURN(VendorBaseline* const vendor, vendor_for(p));
      Launcher beside;
      if (vendor != nullptr) {
        TARE_ASSIGN_OR_RETURN(const int way, vendor->best_way(key.rows, launches));
        beside = vendor->unit(key.rows, way, launches);
      }
      TARE_ASSIGN_OR_RETURN(last_edge, time(*bench, prepared, key.rows, kFinal, launches, beside));
      if (o_.sensors != nullptr) sensors = o_.sensors->read();
      if (vendor != nullptr) vendor_seconds = last_edge.back().median, last_edge.pop_back();
      first_edge = last_edge;
      if (edges.size() > 1) {
        TARE_ASSIGN_OR_RETURN(first_edge, time(*bench, prepared, edges[1], kFinal, launches));
      }
      finalists.assign(last.begin(), last.end());
      std::vector<SearchCost> costs;
      for (size_t i = 0; i < last.size(); ++i)
        costs.push_back(cost_beside(first_edge[0], last_edge[0], first_edge[i], last_edge[i], edges.back()));
      if (o_.sustained_from == 0 || key.rows < o_.sustained_from) return costs;
      std::vector<size_t> order;  // what may win, fastest first
      for (size_t i = 0; i < costs.size(); ++i)
        if (costs[i].refused.empty()) order.push_back(i);
      std::ranges::sort(order, {}, [&](size_t i) { return costs[i].seconds; });
      if (order.size() < 2 || costs[order[1]].seconds > (1 + TunerOptions::kCloseBursts) * costs[order[0]].seconds)
        return costs;
      TARE_ASSIGN_OR_RETURN(const auto hot,
                            sustained(*bench, {prepared[order[0]], prepared[order[1]]}, key.rows, launches));
      for (const size_t i : {0, 1}) sustained_seconds[last[order[i]]] = hot[i];
      const size_t loser = hot[0] > hot[1] ? 0 : 1;
      if (order[loser] != 0 && hot[loser] > (1 + kLeastGain) * hot[1 - loser])
        costs[order[loser]].refused =
            text("slower when sustained: ", hot[loser] * 1e6, " us, ", contestants[last[order[1 - loser]]].name(), " ",
                 hot[1 - loser] * 1e6, " us");
      return costs;
    };
    // Fresh instances and scratch, other copies of the weights first, the challenger before the default.
    callbacks.confirm = [&](size_t c) -> Result<std::array<SearchCost, 2>> {
      std::vector<const ProblemBench::Prepared*> prepared;
      bench->refresh();
      ready.clear();
      for (const size_t one : {c, size_t{0}}) {
        TARE_ASSIGN_OR_RETURN(const ProblemBench::Prepared* const made, prepared_of(contestants[one]));
        prepared.push_back(made);
      }
      std::vector<Timing> first;
      if (edges.size() > 1) {
        TARE_ASSIGN_OR_RETURN(first, time(*bench, prepared, edges[1], kConfirm, launches));
      }
      TARE_ASSIGN_OR_RETURN(auto last, time(*bench, prepared, key.rows, kConfirm, launches));
      if (first.empty()) first = last;
      const std::array<SearchCost, 2> out{cost_beside(first[1], last[1], first[1], last[1], edges.back()),
                                          cost_beside(first[1], last[1], first[0], last[0], edges.back())};
      again = {.challenger = c, .first = std::move(first), .last = std::move(last)};
      return out;
    };
    callbacks.save = [&](size_t c, const SearchCost& cost) { return save(key, contestants[c], cost); };
    callbacks.out_of_time = [&] { return is_over(); };
    std::vector<TriedOutcome> tried(contestants.size());
    const auto keep_cost = [&](size_t c, const SearchCost& cost) {
      tried[c] = {candidates[c].name, cost.seconds * 1e6, cost.spread * 1e6, cost.refused};
      return callbacks.save(c, cost);
    };
    SearchCallbacks with_notes = callbacks;
    with_notes.save = keep_cost;
    for (size_t c = 0; c < candidates.size(); ++c)
      if (candidates[c].known_seconds || !candidates[c].refused.empty())
        tried[c] = {candidates[c].name, candidates[c].known_seconds.value_or(0) * 1e6, 0, candidates[c].refused};
    if (!candidates[0].refused.empty()) candidates[0].refused.clear();  // it has just passed
    if (before.size() > 0) TARE_RETURN_IF_ERROR(align_known(callbacks, before, candidates));
    TARE_ASSIGN_OR_RETURN(const SearchOutcome found, search(candidates, with_notes));
    for (TriedOutcome& t : tried)
      if (!t.name.empty()) outcome.tried.push_back(std::move(t));
    outcome.measured = static_cast<int64_t>(found.measured), outcome.pruned = static_cast<int64_t>(found.pruned);
    outcome.resumed = static_cast<int64_t>(found.resumed),
    outcome.unconfirmed = static_cast<int64_t>(found.unconfirmed);
    if (!found.complete) return {};  // what was tried is kept; the next run goes on
    const auto finalist = [&](size_t c) {
      return static_cast<size_t>(std::ranges::find(finalists, c) - finalists.begin());
    };
    if (found.best != 0) {
      // Of a winner the second figures are kept: they took no part in making it the winner.
      const size_t at = finalist(again.challenger);
      first_edge[at] = again.first[0], first_edge[0] = again.first[1];
      last_edge[at] = again.last[0], last_edge[0] = again.last[1];
    }
    const Timing& best = last_edge[finalist(found.best)];
    out_.bytes_per_second = std::max(
        out_.bytes_per_second, o_.bytes_per_second > 0 ? static_cast<double>(bench->weight_bytes()) / best.median : 0);
    auto& peak = out_.peaks[key.numerics];
    peak = std::max(peak, operations / best.median);
    TuningValue v;
    v.kernel = contestants[found.best].kernel->id(), v.config = to_string(contestants[found.best].config);
    v.us = best.median * 1e6, v.spread = best.spread * 1e6;
    v.first_us = first_edge[finalist(found.best)].median * 1e6;
    if (found.runner_up) {
      v.runner_up = contestants[*found.runner_up].name();
      v.runner_up_us = last_edge[finalist(*found.runner_up)].median * 1e6;
    }
    v.gb_s = static_cast<double>(bench->weight_bytes()) / best.median * 1e-9;
    v.share = roofline > 0 ? roofline_of(*bench, key, operations) / best.median : 0;
    v.baseline = contestants[0].name(), v.baseline_us = last_edge[0].median * 1e6;
    v.vendor_us = vendor_seconds * 1e6, v.megahertz = sensors.megahertz, v.watts = sensors.watts;
    if (const auto hot = sustained_seconds.find(found.best); hot != sustained_seconds.end())
      v.sustained_us = hot->second * 1e6;
    v.exact = true, v.hash = contestants[found.best].kernel->hash(), v.versions = o_.versions, v.date = today();
    outcome.baseline_first_us = first_edge[0].median * 1e6;
    outcome.entry = {key, std::move(v)}, outcome.state = KeyOutcome::State::tuned;
    return database_.put({&outcome.entry, 1});
  }

  // Times of an interrupted run belong to another minute: they are scaled by what the default takes now.
  Status align_known(const SearchCallbacks& callbacks, std::span<const TriedCandidate> before,
                     std::vector<SearchCandidate>& candidates) {
    const auto at = std::ranges::find_if(
        before, [&](const TriedCandidate& t) { return t.kernel + " " + t.config == candidates[0].name && t.us > 0; });
    if (at == before.end()) return {};
    TARE_ASSIGN_OR_RETURN(const SearchCost now, callbacks.quick(0));
    for (SearchCandidate& c : candidates)
      if (c.known_seconds) *c.known_seconds *= now.seconds / (at->us * 1e-6);
    candidates[0].known_seconds = now.seconds;
    return {};
  }

  Status save(const TuningKey& key, const Contestant& c, const SearchCost& cost) {
    return database_.put(TriedCandidate{key, std::string(c.kernel->id()), to_string(c.config), c.kernel->hash(),
                                        cost.seconds * 1e6, cost.spread * 1e6, cost.refused, today()});
  }

  // The least seconds that the bytes and the arithmetic allow; 0: unknown.
  double roofline_of(const ProblemBench& bench, const TuningKey& key, double operations) {
    if (out_.bytes_per_second <= 0) return 0;
    if (!out_.peaks.contains(key.numerics))
      out_.peaks[key.numerics] = peak_operations(device_, info_, registry_, key.numerics, *timer_, o_.data);
    const double bytes = static_cast<double>(bench.weight_bytes() + bench.activation_bytes(key.rows));
    const double peak = out_.peaks[key.numerics];
    return std::max(bytes / out_.bytes_per_second, peak > 0 ? operations / peak : 0);
  }

  Device& device_;
  const DeviceInfo& info_;
  const Registry& registry_;
  TuningDatabase& database_;
  const TunerOptions& o_;
  WallTimer wall_;
  LaunchTimer* timer_ = nullptr;
  std::function<double()> now_;
  double start_ = 0;
  BenchMemory memory_;
  std::unique_ptr<ProblemBench> bench_;
  std::pair<std::string, std::string> bench_is_;
  std::unique_ptr<ExactnessGate> gate_;
  std::unique_ptr<VendorBaseline> vendor_;
  std::string vendor_is_;
  int64_t done_ = 0, total_ = 0;
  TunerOutcome out_;
};

}  // namespace

int64_t TunerOutcome::count(KeyOutcome::State state) const noexcept {
  return std::ranges::count(keys, state, &KeyOutcome::state);
}

Result<TunerOutcome> tune(Device& device, const DeviceInfo& info, const Registry& registry,
                          std::span<const TuningProblem> problems, TuningDatabase& database,
                          const TunerOptions& options) {
  return Tuner(device, info, registry, database, options).run(problems);
}

}  // namespace tare
