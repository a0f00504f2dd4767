// The tuner: for every problem, layout and rows point, measures what kernels and configs there are, checks their bits,
// and keeps the fastest in the database. Every candidate is saved when it was measured, so that an interrupted run goes
// on where it stopped. It drives kernels through their interface alone and runs on any device. [one thread]
#pragma once
#include <memory>

#include "autotune/launch_timer.hpp"
#include "autotune/run/gate.hpp"
#include "autotune/run/vendor_baseline.hpp"
#include "autotune/search/search.hpp"
#include "autotune/sensors.hpp"
#include "autotune/store/database.hpp"

namespace tare {

struct TunerProgress {
  int64_t done = 0, total = 0;  // choices
  std::string doing;            // "w12/cpu-tiles, 8 rows of linear/1 ..."
};
struct TunerOptions {
  std::vector<std::string> layouts = {};    // codes or ids; empty: all
  double budget = 0;                        // seconds; 0: none
  int64_t cold_bytes = int64_t{256} << 20;  // copies of the weights must exceed it: twice the last cache's bytes
  double bytes_per_second = 0;              // of the device's memory; 0: unknown, then nothing is pruned by it
  bool every_numerics = false;              // not only the order of sums that is kept
  // Orders of sums that are not kept yet are measured; else selection's first one is kept, so that what is tuned gives
  // the tokens that it gave before.
  bool choose_numerics = false;
  std::string versions = {};  // provenance: "tare 0.1.0"
  std::function<void(const TunerProgress&)> progress = {};
  std::function<bool()> stopped = {};  // asked between two candidates
  std::function<double()> now = {};    // seconds, for the budget
  LaunchTimer* timer = nullptr;        // null: the device's own, else the wall
  DeviceData* data = nullptr;          // the device's: numbers are made and compared there, kernels compiled ahead
  VendorProducts* vendor = nullptr;    // opened; its best is measured beside ours, with `data`
  DeviceSensors* sensors = nullptr;    // read beside figures
  // From so many rows on (0: never) the two best are also compared in slices of so many seconds, in which they
  // alternate, when their bursts lie within kCloseBursts: there the power cap sets the clock.
  int64_t sustained_from = 0;
  double sustained_slice = 0.5;
  static constexpr double kCloseBursts = 0.03;
};

struct TriedOutcome {
  std::string name;
  double us = 0, spread = 0;
  std::string refused;
};
struct KeyOutcome {
  enum class State : uint8_t { tuned, known, unfinished, failed };
  TuningKey key;
  State state = State::unfinished;
  TuningEntry entry = {};                // of tuned and known ones
  std::vector<TriedOutcome> tried = {};  // the default first
  double baseline_first_us = 0;          // the default at the bucket's first row count
  int64_t measured = 0, pruned = 0, resumed = 0;
  int64_t unconfirmed = 0;  // beat the default in the final round, and not when both were measured again
  double roofline_us = 0;   // 0: unknown
  std::string note = {};    // why it failed
};
struct GateFailure {
  TuningKey key;
  std::string kernel, config, reason;
};
struct NumericsChoice {
  std::string problem, numerics;                         // first op's printed form
  bool kept = false;                                     // from an earlier run
  std::vector<std::pair<std::string, double>> measured;  // id and its time beside the first's; empty: not measured
};
struct TunerOutcome {
  std::vector<KeyOutcome> keys;
  std::vector<GateFailure> failures;
  std::vector<NumericsChoice> numerics;
  std::map<std::string, double> peaks;  // by order of sums: the most operations a second that were seen, 0: unknown
  double bytes_per_second = 0;          // the roofline's; above the options' when a launch was faster
  double seconds = 0;
  bool out_of_time = false, stopped = false;
  int64_t count(KeyOutcome::State state) const noexcept;
};
// Refused: a database that cannot be written, a failure of the device.
Result<TunerOutcome> tune(Device& device, const DeviceInfo& info, const Registry& registry,
                          std::span<const TuningProblem> problems, TuningDatabase& database,
                          const TunerOptions& options);

}  // namespace tare
