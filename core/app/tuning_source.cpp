#include "core/app/tuning_source.hpp"

#include "core/base/file.hpp"

namespace tare {

Result<TuningSource> read_tuning_source(const TuningPlaces& places, const std::string& name) {
  TuningSource out;
  out.path = name == "user" ? places.database : name == "shipped" ? places.folder : name;
  if (out.path.empty())
    return failure(Code::not_found, "there is no ", name, " source of tuning entries: [tuning] database is \"none\"");
  if (is_folder(out.path)) {
    out.kind = "folder";
    TuningFolder folder = read_tuning_folder(out.path);
    if (!folder.problems.empty()) return invalid(folder.problems.front());
    out.files = std::move(folder.files);
  } else if (!is_file(out.path)) {
    return failure(Code::not_found, out.path, " is not there",
                   name == "user" ? ": nothing was tuned by this user yet, `tare autotune` does" : "");
  } else if (out.path.ends_with(".toml")) {
    out.kind = "file";
    TARE_ASSIGN_OR_RETURN(TuningFile file, read_tuning_file(out.path));
    out.files.push_back(std::move(file));
  } else {
    out.kind = "database";
    TARE_ASSIGN_OR_RETURN(const auto database, TuningDatabase::open_to_read(out.path));
    TARE_ASSIGN_OR_RETURN(out.entries, database->entries());
    TARE_ASSIGN_OR_RETURN(out.kept, database->kept_numerics());
  }
  for (const TuningFile& file : out.files)
    out.entries.insert(out.entries.end(), file.entries.begin(), file.entries.end());
  sort(out.entries);
  return out;
}

}  // namespace tare
