// Tuning: where measured choices of kernels lie for one command: this user's database above the files that come with
// the program. Places are plain values; what is read from them is const and [any thread].
#pragma once
#include <memory>

#include "autotune/store/lookup.hpp"
#include "autotune/store/sku_table.hpp"
#include "core/api/log.hpp"
#include "core/config/settings.hpp"
#include "core/registry/registry.hpp"

namespace tare {

struct TuningPlaces {
  std::string database;  // SQLite file, which need not exist; empty: none is used
  std::string folder;    // tuning-db as it is shipped; empty: none is used
  std::string skus;      // its table of SKUs, whatever else is used; empty: there is none
};
// From the setting [tuning] database: "auto" (this user's file above what is shipped), "none", or a path in place of
// the user's.
TuningPlaces tuning_places(const std::string& setting, const Environment& environment);

// The shipped table of SKUs; empty when there is none. A table that cannot be read is a warning.
std::vector<SkuDescription> sku_table(const TuningPlaces& places, Log& log);
// A device as tuning keys know it: its SKU as the table maps the driver's name, else as its plugin says.
DeviceInfo with_sku(DeviceInfo device, std::span<const SkuDescription> table);

// All that is known for a device. Never fails: a file that cannot be read is a warning in the log, a damaged database
// is kept aside and said. Null when both places are off.
std::shared_ptr<const TuningStore> open_tuning(const TuningPlaces& places, const DeviceInfo& device,
                                               const Registry& registry, Log& log);

}  // namespace tare
