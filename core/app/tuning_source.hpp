// A source of tuning entries that a user names: a database, a folder as tuning-db is, or one of its files. [one thread]
#pragma once
#include "autotune/store/database.hpp"
#include "autotune/store/tuning_folder.hpp"
#include "core/app/tuning.hpp"

namespace tare {

struct TuningSource {
  std::string path, kind;  // kind: "database", "folder", "file"
  std::vector<TuningEntry> entries;
  std::vector<KeptNumerics> kept;  // of a database
  std::vector<TuningFile> files;   // of folders and files: whose device, how many units
};
// `name`: a path, "user" (this user's database) or "shipped". One that is not there, a file with a mistake, a damaged
// database are refused.
Result<TuningSource> read_tuning_source(const TuningPlaces& places, const std::string& name);

}  // namespace tare
