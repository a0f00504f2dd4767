// What an autotuning run found, for people and programs: lines of text, JSON, a report with plots. Pure, [any thread].
#pragma once
#include <iosfwd>
#include <string>

#include "autotune/run/qualify.hpp"
#include "core/report/report.hpp"

namespace tare {

struct AutotuneFacts {
  std::string what;  // the model, or the shapes
  const DeviceInfo* device = nullptr;
  std::string database, version, date;
  double budget = 0;  // seconds; 0: none
  int64_t cold_bytes = 0;
  std::string others;  // who used the device meanwhile; empty: nobody was seen
};
// Time beside the default's, geometric means over choices; 1: as fast.
struct PipelineComparison {
  std::string layout, rows;  // "w12/cpu-tiles", "1 to 64"
  int64_t choices = 0;
  double tuned = 1;  // of the chosen ones
  double fixed = 1;  // of the best single kernel and config that ran every choice; 1: the default rule itself
  std::string fixed_name;
};
std::vector<PipelineComparison> compare_pipelines(const TunerOutcome& outcome);
// Geometric mean of the chosen ones' time beside the default's, over all choices.
double tuned_against_default(const TunerOutcome& outcome);

void print(const TunerOutcome& outcome, const AutotuneFacts& facts, std::ostream& out);
// `qualification` may be null.
std::string to_json(const TunerOutcome& outcome, const AutotuneFacts& facts, const Qualification* qualification);
report::Report to_report(const TunerOutcome& outcome, const AutotuneFacts& facts, const Qualification* qualification);

}  // namespace tare
