// A plan for a device that is only described (tuning-db/skus.toml) and for any number of ranks, from config.json alone:
// bytes a rank, tokens of state that fit, and bytes over bandwidth as the time of a step. Pure, [any thread].
#pragma once
#include "autotune/store/sku_table.hpp"
#include "core/app/plan_report.hpp"

namespace tare {

// Memory: options.memory_bytes for each rank, else nine tenths of the device's. Refused when a rank's share does not
// divide, with the weights named, and with figures when nothing fits.
Result<PlanReport> plan_described(const Host& host, const ModelDescription& description, const SkuDescription& sku,
                                  int64_t ranks, const LoadOptions& options);

}  // namespace tare
