// KeyTuner: chooses the kernel and config of one key: gates each contestant's bits, times it quickly beside the
// default, the fastest together in a final round, and a winner again. What was measured is saved at once. [one thread]
#pragma once
#include <map>

#include "autotune/run/stopwatch.hpp"
#include "autotune/run/tuner.hpp"

namespace tare {

constexpr StoppingRule kQuickRule{.least = 3, .most = 5, .spread = 0.03, .seconds = 0.06, .hopeless = 1.25};

// What all keys of a run share; everything outlives the KeyTuner.
struct KeyTools {
  const Registry& registry;
  TuningDatabase& database;
  const TunerOptions& options;
  LaunchTimer& timer;
  std::function<bool()> is_over;                       // time is up, or someone wants it to stop
  std::function<Result<VendorBaseline*>()> vendor;     // of this problem; null: there is none
  std::function<double()> peak;                        // operations a second under the key's order of sums; 0: unknown
  std::function<void(const GateFailure&)> gate_fails;  // called for each
  double bytes_per_second = 0;                         // the roofline's; 0: unknown
};

class KeyTuner {
 public:
  // `bench` and `gate` are of the key's problem and layout.
  KeyTuner(KeyTools tools, ProblemBench& bench, ExactnessGate& gate, const TuningKey& key);
  // Fills `outcome`; its state stays unfinished when time was up. Refused: a failure of the device or the database.
  Status choose(std::vector<Contestant> contestants, KeyOutcome& outcome);
  // Of what was chosen: weight bytes and operations a second. 0: nothing was.
  double bytes_per_second() const noexcept { return seen_bytes_; }
  double operations_per_second() const noexcept { return seen_operations_; }

 private:
  using Prepared = ProblemBench::Prepared;
  Result<std::string> gate(const Contestant& c);
  Result<const Prepared*> prepared_of(const Contestant& c);
  Status settle_default(KeyOutcome& outcome);
  Result<std::vector<SearchCandidate>> candidates(KeyOutcome& outcome);
  SearchCallbacks callbacks();
  Result<SearchCost> quick(size_t c);
  Result<std::vector<SearchCost>> final_round(std::span<const size_t> last);
  Status compare_sustained(std::span<const size_t> last, std::span<const Prepared* const> prepared,
                           std::vector<SearchCost>& costs);
  Result<std::array<SearchCost, 2>> confirm(size_t c);
  Result<std::vector<EdgeTimes>> time_edges(std::span<const Prepared* const> prepared, const StoppingRule& rule,
                                            const Launcher& beside = {}, Timing* beside_time = nullptr);
  Status save(size_t c, const SearchCost& cost);
  double roofline() const;
  size_t finalist(size_t c) const;
  TuningValue value(const SearchOutcome& found);

  const KeyTools tools_;
  ProblemBench& bench_;
  ExactnessGate& gate_;
  const TuningKey key_;
  Stopwatch watch_;
  const double operations_;
  std::vector<int64_t> edges_;  // row counts: the bucket's last, and its first where that is another
  std::vector<Contestant> contestants_;
  std::map<std::string, Prepared> ready_;  // a contestant is prepared once, for its gate and for all that is measured
  std::vector<TriedOutcome> tried_;        // by contestant
  int64_t launches_ = 1;                   // of a unit
  double base_seconds_ = 0;                // the default's when it was first timed
  std::vector<size_t> finalists_;          // the default first
  std::vector<EdgeTimes> times_;           // by finalist
  struct {
    size_t challenger = 0;
    EdgeTimes own, standard;
  } again_;                                     // of the last confirmation
  std::map<size_t, double> sustained_seconds_;  // by contestant, of those that were compared so
  double vendor_seconds_ = 0;
  SensorReading sensors_;
  double seen_bytes_ = 0, seen_operations_ = 0;
};

}  // namespace tare
