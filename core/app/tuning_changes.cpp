// tare tuning import | merge | export | prune: entries into the database, out of it, and away.
#include <boost/json.hpp>
#include <iostream>
#include <map>

#include "autotune/store/merge.hpp"
#include "autotune/store/problem_text.hpp"
#include "core/app/tuning_commands.hpp"
#include "core/app/tuning_source.hpp"
#include "core/base/file.hpp"

namespace tare {
namespace {

// For writing: made when it is missing.
Result<std::unique_ptr<TuningDatabase>> writable_database(const TuningPlaces& places) {
  if (places.database.empty())
    return failure(Code::not_found, "there is no database to write to: [tuning] database is \"none\"");
  TARE_ASSIGN_OR_RETURN(TuningDatabase::Opened opened, TuningDatabase::open(places.database));
  if (!opened.note.empty()) std::cerr << "tare: " << opened.note << '\n';
  if (!opened.database->writable())
    return failure(Code::unavailable, "the tuning database ", places.database, " is read-only");
  return std::move(opened.database);
}
MergeRule rule_of(const std::string& name) {
  return name == "fastest" ? MergeRule::fastest : name == "given" ? MergeRule::given : MergeRule::newest;
}

// Merges sets behind what the database has, writes what changed, keeps orders of sums that were there.
Status merge_into(TuningDatabase& database, std::vector<std::vector<TuningEntry>> sets,
                  const std::vector<KeptNumerics>& kept, const TuningOptions& o) {
  TARE_ASSIGN_OR_RETURN(const std::vector<TuningEntry> before, database.entries());
  sets.insert(sets.begin(), before);
  size_t offered = 0;
  for (size_t i = 1; i < sets.size(); ++i) offered += sets[i].size();
  std::map<TuningKey, const TuningEntry*> known;
  for (const TuningEntry& e : before) known.emplace(e.key, &e);
  std::vector<TuningEntry> changed;
  size_t fresh = 0;
  for (TuningEntry& e : merge(sets, rule_of(o.rule))) {
    const auto at = known.find(e.key);
    if (at != known.end() && *at->second == e) continue;
    fresh += at == known.end();
    changed.push_back(std::move(e));
  }
  size_t other_orders = 0;
  if (!o.dry_run) {
    TARE_RETURN_IF_ERROR(database.put(changed));
    for (const KeptNumerics& k : kept) {
      TARE_ASSIGN_OR_RETURN(const std::string now, database.keep_numerics(k.sku, k.problem, k.numerics));
      other_orders += now != k.numerics;
    }
  }
  if (o.as_json) {
    std::cout << boost::json::object{{"database", database.path()},        {"offered", offered}, {"new", fresh},
                                     {"replaced", changed.size() - fresh}, {"rule", o.rule},     {"dry_run", o.dry_run}}
              << '\n';
    return {};
  }
  std::cout << offered << " entries offered, " << fresh << " new, " << changed.size() - fresh << " replaced (" << o.rule
            << " wins)" << (o.dry_run ? "; nothing was written" : " in " + database.path()) << '\n';
  if (other_orders > 0)
    std::cout << other_orders
              << " problems keep the order of sums that the database had, not the one that was offered\n";
  return {};
}

// SKUs of the devices that are here.
std::vector<DeviceInfo> devices_here(const Host& host) {
  const auto table = sku_table(host.tuning_places(), host.log());
  std::vector<DeviceInfo> out;
  for (const DeviceProvider* provider : host.plugins().registrations().devices)
    for (DeviceInfo& d : provider->found().devices) out.push_back(with_sku(std::move(d), table));
  return out;
}

}  // namespace

Status import_tuning(const Host& host, const TuningOptions& o) {
  std::vector<std::string> wanted;
  if (!o.sku.empty()) wanted.push_back(o.sku);
  if (wanted.empty())
    for (const DeviceInfo& d : devices_here(host)) wanted.push_back(d.sku);
  std::vector<std::vector<TuningEntry>> sets;
  std::vector<KeptNumerics> kept;
  for (const std::string& name : o.sources) {
    TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
    std::string skus;
    for (const TuningEntry& e : source.entries)
      if (std::ranges::find(wanted, e.key.sku) == wanted.end()) {
        for (const std::string& w : wanted) skus += (skus.empty() ? "" : " or ") + w;
        return invalid(source.path, " has entries of the SKU '", e.key.sku, "', expected ", skus, ": --sku ", e.key.sku,
                       " imports them all the same");
      }
    sets.push_back(std::move(source.entries));
    kept.insert(kept.end(), source.kept.begin(), source.kept.end());
  }
  TARE_ASSIGN_OR_RETURN(const auto database, writable_database(places_of(host, o)));
  return merge_into(*database, std::move(sets), kept, o);
}

Status merge_tuning(const Host& host, const TuningOptions& o) {
  std::vector<std::vector<TuningEntry>> sets;
  std::vector<KeptNumerics> kept;
  for (const std::string& name : o.sources) {
    TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
    keep_asked_for(source.entries, o);
    sets.push_back(std::move(source.entries));
    for (KeptNumerics& k : source.kept)
      if (o.sku.empty() || k.sku == o.sku) kept.push_back(std::move(k));
  }
  TARE_ASSIGN_OR_RETURN(const auto database, writable_database(places_of(host, o)));
  return merge_into(*database, std::move(sets), kept, o);
}

Status export_tuning(const Host& host, const TuningOptions& o) {
  const std::string name = o.sources.empty() ? "user" : o.sources.front();
  TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
  keep_asked_for(source.entries, o);
  std::map<std::string, std::vector<TuningEntry>> by_sku;
  for (TuningEntry& e : source.entries) by_sku[e.key.sku].push_back(std::move(e));
  if (by_sku.empty()) return failure(Code::not_found, source.path, " has no entries to export");
  // The files name the device and its units: known for devices that are here, of the table, or of the source's files.
  std::vector<DeviceInfo> known = devices_here(host);
  for (const SkuDescription& s : sku_table(host.tuning_places(), host.log())) known.push_back(to_device_info(s));
  for (const TuningFile& f : source.files) {
    DeviceInfo& d = known.emplace_back();
    d.sku = f.sku, d.architecture = f.architecture, d.name = f.device, d.units = static_cast<int32_t>(f.units);
  }
  boost::json::array files;
  for (const auto& [sku, entries] : by_sku) {
    const auto device = std::ranges::find(known, sku, &DeviceInfo::sku);
    if (device == known.end())
      return failure(
          Code::not_found, "the SKU '", sku,
          "' is neither a device that is here nor one of tuning-db/skus.toml: its name and units are unknown");
    TARE_ASSIGN_OR_RETURN(const auto written, write_tuning_files(o.folder, *device, entries));
    for (const std::string& path : written) {
      if (!o.as_json) std::cout << path << '\n';
      files.emplace_back(path);
    }
  }
  if (o.as_json) std::cout << boost::json::object{{"files", files}} << '\n';
  return {};
}

Status prune_tuning(const Host& host, const TuningOptions& o) {
  PruneRule rule;
  if (!o.stale && !o.other_skus && o.older_than.empty())
    return invalid("prune has nothing to look for, expected --stale, --other-skus or --older-than");
  if (o.stale)
    rule.hash_now = [&host](const std::string& id) -> std::optional<std::string> {
      const KernelCandidate* kernel = host.registry().kernel(id);
      return kernel == nullptr ? std::nullopt : std::optional(kernel->hash());
    };
  if (!o.older_than.empty()) {
    const bool days = o.older_than.ends_with('d') && o.older_than.size() > 1 && o.older_than.size() < 8 &&
                      o.older_than.find_first_not_of("0123456789") == o.older_than.size() - 1;
    const auto date = days ? days_before(today(), std::stoll(o.older_than)) : std::optional(o.older_than);
    if (!date || !is_date(*date))
      return invalid("--older-than is '", o.older_than, "', expected a number of days such as 90d, or 2026-01-31");
    rule.before = *date;
  }
  std::vector<std::string> here;
  if (o.other_skus) {
    if (!o.sku.empty()) here.push_back(o.sku);
    if (here.empty())
      for (const DeviceInfo& d : devices_here(host)) here.push_back(d.sku);
  }
  const TuningPlaces places = places_of(host, o);
  if (!is_file(places.database))
    return failure(Code::not_found, "the tuning database ", places.database, " is not there");
  TARE_ASSIGN_OR_RETURN(const auto database, writable_database(places));
  TARE_ASSIGN_OR_RETURN(const std::vector<TuningEntry> entries, database->entries());
  std::vector<Pruned> pruned = to_prune(entries, rule);
  if (o.other_skus)
    for (const TuningEntry& e : entries)
      if (std::ranges::find(here, e.key.sku) == here.end() &&
          std::ranges::find(pruned, e.key, &Pruned::key) == pruned.end())
        pruned.push_back({e.key, "of another SKU"});
  std::vector<TuningKey> keys;
  for (const Pruned& p : pruned) keys.push_back(p.key);
  if (!o.dry_run) TARE_RETURN_IF_ERROR(database->erase(keys));
  if (o.as_json) {
    boost::json::array out;
    for (const Pruned& p : pruned) out.push_back({{"key", to_line(p.key)}, {"reason", p.reason}});
    std::cout << boost::json::object{{"database", places.database},
                                     {"pruned", out},
                                     {"left", entries.size() - keys.size()},
                                     {"dry_run", o.dry_run}}
              << '\n';
    return {};
  }
  for (const Pruned& p : pruned) std::cout << to_line(p.key) << ": " << p.reason << '\n';
  std::cout << keys.size() << (o.dry_run ? " entries would go, " : " entries are gone, ")
            << entries.size() - keys.size() << (o.dry_run ? " would stay\n" : " are left\n");
  return {};
}

}  // namespace tare
