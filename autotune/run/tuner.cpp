#include "autotune/run/tuner.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>

#include "autotune/run/key_tuner.hpp"
#include "autotune/run/peak.hpp"
#include "autotune/run/wall_timer.hpp"
#include "autotune/store/problem_text.hpp"

namespace tare {
namespace {

constexpr double kLeastNumericsGain = 0.03;  // over all rows points, for another order of sums than the first

std::string code_of(const std::string& layout) { return layout.substr(0, layout.find('/')); }

class Tuner {
 public:
  Tuner(Device& device, const DeviceInfo& info, const Registry& registry, TuningDatabase& database,
        const TunerOptions& options)
      : device_(device), info_(info), registry_(registry), database_(database), o_(options) {
    timer_ = options.timer != nullptr ? options.timer : &timer_of(device, wall_);
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
  // The vendor's product for a problem, made when it is first asked for; null: there is none.
  Result<VendorBaseline*> vendor_for(const TuningProblem& p) {
    if (o_.vendor == nullptr || o_.data == nullptr) return nullptr;
    if (vendor_is_ != p.printed) {
      vendor_.reset();
      TARE_ASSIGN_OR_RETURN(vendor_, VendorBaseline::create(device_, *o_.vendor, *o_.data, *timer_, p.problem,
                                                            p.points.back(), o_.cold_bytes, vendor_ways_));
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
      TARE_ASSIGN_OR_RETURN(const auto timings, Stopwatch(*bench, *timer_).time(prepared, rows, kQuickRule, 1));
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
    KeyTuner one({.registry = registry_,
                  .database = database_,
                  .options = o_,
                  .timer = *timer_,
                  .is_over = [this] { return is_over(); },
                  .vendor = [this, &p] { return vendor_for(p); },
                  .peak = [this, &key] { return peak(key.numerics); },
                  .gate_fails = [this](const GateFailure& f) { out_.failures.push_back(f); },
                  .bytes_per_second = out_.bytes_per_second},
                 *bench, *gate_, key);
    TARE_RETURN_IF_ERROR(one.choose(std::move(contestants), outcome));
    if (outcome.state != KeyOutcome::State::tuned) return {};
    out_.bytes_per_second = std::max(out_.bytes_per_second, one.bytes_per_second());
    // Where nothing is known of it, what a few rows of a small problem reach would rule out all kernels of larger ones.
    if (double& most = out_.peaks[key.numerics]; most > 0) most = std::max(most, one.operations_per_second());
    return {};
  }

  // Operations a second under an order of sums: the most that were seen since a quick measurement; 0: nothing could be
  // measured.
  double peak(const std::string& numerics) {
    if (!out_.peaks.contains(numerics))
      out_.peaks[numerics] = peak_operations(device_, info_, registry_, numerics, *timer_, o_.data);
    return out_.peaks[numerics];
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
  VendorWays vendor_ways_;
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
