// What `tare explain` prints: Program, Plan of one bucket, memory ledger; for people and for machines. [any thread]
#pragma once
#include <iosfwd>
#include <string>

#include "core/app/model.hpp"

namespace tare {

void explain(const PlannedModel& model, const Plan& plan, const DeviceInfo& device, std::ostream& out);
std::string explain_json(const PlannedModel& model, const Plan& plan);
// The memory plan alone: serve and the quick start print it too.
std::string memory_table(const std::string& name, const MemoryPlan& memory, const ExecutorOptions& limits);

}  // namespace tare
