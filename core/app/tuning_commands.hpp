// What tare tuning's subcommands do: some show entries, some change the database or write files. Each prints its
// answer, for people or as JSON, and fails in one sentence. [main thread]
#pragma once
#include <string>
#include <vector>

#include "autotune/store/entry.hpp"
#include "core/app/host.hpp"

namespace tare {

// The options of all subcommands; each reads its own.
struct TuningOptions {
  std::string database, sku, op, problem, folder, rule = "newest", older_than;
  std::vector<std::string> sources;
  bool as_json = false, stale = false, other_skus = false, dry_run = false;
};

// What --database names goes over the settings.
TuningPlaces places_of(const Host& host, const TuningOptions& o);
// Leaves the entries of --sku and --op.
void keep_asked_for(std::vector<TuningEntry>& entries, const TuningOptions& o);
std::string to_line(const TuningKey& key);

// tuning_views.cpp
Status list_tuning(const Host& host, const TuningOptions& o);
Status show_tuning(const Host& host, const TuningOptions& o);
Status diff_tuning(const Host& host, const TuningOptions& o);
// tuning_changes.cpp
Status import_tuning(const Host& host, const TuningOptions& o);
Status merge_tuning(const Host& host, const TuningOptions& o);
Status export_tuning(const Host& host, const TuningOptions& o);
Status prune_tuning(const Host& host, const TuningOptions& o);

}  // namespace tare
