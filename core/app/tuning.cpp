#include "core/app/tuning.hpp"

#include <filesystem>
#include <map>

#include "autotune/store/database.hpp"
#include "autotune/store/tuning_folder.hpp"
#include "core/base/file.hpp"
#include "core/plugin/search.hpp"

namespace tare {
namespace {

// A damaged file is kept aside by whoever may write; what is left is read.
std::unique_ptr<TuningDatabase> open_database(const std::string& path, Log& log) {
  auto opened = TuningDatabase::open_to_read(path);
  if (opened.ok()) return std::move(*opened);
  if (opened.status().code() != Code::corrupt) {
    log.warning(opened.status().message());
    return nullptr;
  }
  auto mended = TuningDatabase::open(path);
  log.warning(mended.ok() ? mended->note : mended.status().message());
  return mended.ok() ? std::move(mended->database) : nullptr;
}

// The files' entries, one source for each SKU.
std::vector<SkuEntries> sources_of(std::vector<TuningFile> files) {
  std::map<std::string, SkuEntries> by_sku;
  for (TuningFile& file : files) {
    SkuEntries& source = by_sku[file.sku];
    source.sku = file.sku, source.architecture = file.architecture, source.units = file.units;
    std::ranges::move(file.entries, std::back_inserter(source.entries));
  }
  std::vector<SkuEntries> out;
  for (auto& [sku, source] : by_sku) out.push_back(std::move(source));
  return out;
}

}  // namespace

TuningPlaces tuning_places(const std::string& setting, const Environment& environment) {
  TuningPlaces out;
  std::string shipped;
  if (const std::string program = executable_path(); !program.empty())
    shipped = (std::filesystem::path(program).parent_path().parent_path() / "share/tare/tuning-db").string();
  if (!shipped.empty()) out.skus = join_path(shipped, "skus.toml");
  if (setting == "none") return out;
  out.folder = shipped;
  if (setting != "auto")
    out.database = setting;
  else if (const std::string data = user_folders(environment).data; !data.empty())
    out.database = join_path(data, "tuning.db");
  return out;
}

std::vector<SkuDescription> sku_table(const TuningPlaces& places, Log& log) {
  if (places.skus.empty() || !is_file(places.skus)) return {};
  const auto content = read_file(places.skus, 1 << 20);
  auto table =
      content.ok() ? parse_sku_table(*content, places.skus) : Result<std::vector<SkuDescription>>(content.status());
  if (table.ok()) return std::move(*table);
  log.warning(table.status().message());
  return {};
}

DeviceInfo with_sku(DeviceInfo device, std::span<const SkuDescription> table) {
  for (const SkuDescription& s : table)
    if (s.device == device.name && s.kind == device.kind) device.sku = s.sku;
  return device;
}

std::shared_ptr<const TuningStore> open_tuning(const TuningPlaces& places, const DeviceInfo& device,
                                               const Registry& registry, Log& log) {
  if (places.database.empty() && places.folder.empty()) return nullptr;
  std::vector<SkuEntries> sources;
  std::vector<KeptNumerics> kept;
  TuningFolder folder;
  if (!places.folder.empty()) folder = read_tuning_folder(places.folder, device.architecture);
  for (const std::string& problem : folder.problems) log.warning(problem);
  if (!places.database.empty())
    if (const auto database = open_database(places.database, log)) {
      auto entries = database->entries();
      auto numerics = database->kept_numerics();
      for (const Status& s : {entries.status(), numerics.status()})
        if (!s.ok()) log.warning(s.message());
      if (numerics.ok()) kept = std::move(*numerics);
      // What the user measured on another SKU counts as nearest where the table knows that SKU.
      std::map<std::string, SkuEntries> by_sku;
      if (entries.ok())
        for (TuningEntry& e : *entries) by_sku[e.key.sku].entries.push_back(std::move(e));
      for (auto& [sku, source] : by_sku) {
        source.sku = sku;
        for (const SkuDescription& s : folder.skus)
          if (s.sku == sku) source.architecture = s.architecture, source.units = s.units;
        if (sku == device.sku) source.architecture = device.architecture, source.units = device.units;
        sources.push_back(std::move(source));
      }
    }
  for (SkuEntries& source : sources_of(std::move(folder.files))) sources.push_back(std::move(source));
  std::map<std::string, std::string, std::less<>> hashes;
  for (const KernelCandidate* kernel : registry.kernels()) hashes.emplace(kernel->id(), kernel->hash());
  return std::make_shared<TuningStore>(
      device, sources,
      [hashes = std::move(hashes)](std::string_view kernel) {
        const auto at = hashes.find(kernel);
        return at == hashes.end() ? std::string() : at->second;
      },
      kept);
}

}  // namespace tare
