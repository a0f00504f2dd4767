// What `tare explain` prints: Program, Plan of one bucket, the pipelines of all buckets, memory ledger; for people and
// for machines. [any thread]
#pragma once
#include <iosfwd>
#include <string>

#include "core/app/model.hpp"

namespace tare {

// `tuning` may be null.
void explain(const PlannedModel& model, const Plan& plan, const DeviceInfo& device, const TuningStore* tuning,
             std::ostream& out);
std::string explain_json(const PlannedModel& model, const Plan& plan, const TuningStore* tuning);
// The memory plan alone: serve and the quick start print it too.
std::string memory_table(const std::string& name, const MemoryPlan& memory, const ExecutorOptions& limits);

}  // namespace tare
