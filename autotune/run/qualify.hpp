// Qualification of a device that perhaps nobody measured before: every exactness gate of every kernel, then the
// standard shapes, then its tuning files and a verdict. Runs on any device, shipped or not. [one thread]
#pragma once
#include "autotune/run/tuner.hpp"

namespace tare {

// Of one kernel on the small problems that gates run on: odd sizes, fused neighbours, biases, every layout it reads.
struct GateOutcome {
  std::string kernel, layout, numerics;
  int64_t checked = 0;  // configs and numbers of rows
  std::string failure;  // empty: equal bits everywhere
};
// Those problems at the rows points that gates run at.
std::vector<TuningProblem> gate_problems(const DeviceInfo& info);
Result<std::vector<GateOutcome>> run_gates(Device& device, const DeviceInfo& info, const Registry& registry,
                                           const std::function<bool()>& stopped = {}, DeviceData* data = nullptr);

struct QualifyOptions {
  TunerOptions tuner = {};
  std::span<const TuningEntry> shipped = {};  // of this SKU; empty: nobody measured it yet
  std::string output = {};                    // folder that gets ARCHITECTURE/SKU/OP.toml; empty: none
  double tolerance = 0.10;                    // a geometric mean above the shipped record's by more is slower
};
enum class QualifyVerdict : uint8_t { qualified, slower, failed, unfinished };
struct Qualification {
  std::vector<GateOutcome> gates;
  TunerOutcome tuning;
  std::vector<std::string> files;
  QualifyVerdict verdict = QualifyVerdict::unfinished;
  std::string sentence;        // "qualified", "slower than the shipped record by 23 %", "failed: GATE"
  int64_t compared = 0;        // choices that the shipped record has too
  double against_shipped = 1;  // geometric mean of time beside it
};
Result<Qualification> qualify(Device& device, const DeviceInfo& info, const Registry& registry,
                              std::span<const TuningProblem> problems, TuningDatabase& database,
                              const QualifyOptions& options);

}  // namespace tare
