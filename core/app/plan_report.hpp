// What `tare plan` prints: one layout for each group of matrices with its bytes and its share of a step, totals, and
// what is left for state; for people and for machines. Plain values, [any thread].
#pragma once
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/app/model.hpp"

namespace tare {

struct PlanRow {
  std::string matrices, sizes, layout;
  int64_t count = 0, bytes = 0, plain_bytes = 0;  // of all together
  double seconds = 0;                             // of all together, in a step of one token
  bool measured = false;
};
struct StepPrediction {
  int64_t rows = 1;
  double seconds = 0;
  double measured_share = 0;  // of `seconds`
  bool answers = true;        // rows are sequences that get a token each; else they are the tokens of one prompt
};
struct PlanReport {
  std::string model, device, sku, objective;
  int64_t ranks = 1;
  bool described = false;  // the device was not asked for kernels: times are bytes over bandwidth
  std::vector<PlanRow> rows;
  int64_t other_bytes = 0;  // weights that no product reads
  int64_t plain_bytes = 0;  // of all weights
  double other_seconds = 0;
  bool other_measured = false;
  std::vector<StepPrediction> steps;  // of one token first
  std::string rates;                  // what estimates were made with
  MemoryPlan memory;                  // of one rank
  int64_t budget = 0;
  int32_t context = 0;
  std::vector<std::string> notes;
};
// Seconds by step of a plan, of what is no product; empty: nobody measured.
using StepProber = std::function<std::vector<double>(const Plan& plan, const StepCase& what)>;
// Of a model that was planned for a device that is here. Steps: of one token, and of the mix's rows.
PlanReport report_of(const PlannedModel& model, const DeviceInfo& device, const Registry& registry,
                     const LoadOptions& options, const DeviceRates& rates, const StepProber& probe = {});
void print(const PlanReport& report, std::ostream& out);
std::string to_json(const PlanReport& report);

}  // namespace tare
