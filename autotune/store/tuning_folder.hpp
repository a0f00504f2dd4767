// The folder of shipped tuning files, ARCHITECTURE/SKU/OP.toml, and its table of SKUs. Read-only but for export.
// [any thread]
#pragma once
#include "autotune/store/sku_table.hpp"
#include "autotune/store/tuning_file.hpp"

namespace tare {

struct TuningFolder {
  std::vector<SkuDescription> skus;
  std::vector<TuningFile> files;
  std::vector<std::string> problems;  // files that were left out, each with its reason; never a failure
};
// Of one architecture, or of all (empty). A folder that is missing is empty.
TuningFolder read_tuning_folder(const std::string& folder, const std::string& architecture = "");
// Entries of one SKU into FOLDER/ARCHITECTURE/SKU/OP.toml, one file an op; returns the paths.
Result<std::vector<std::string>> write_tuning_files(const std::string& folder, const DeviceInfo& device,
                                                    std::span<const TuningEntry> entries);

}  // namespace tare
