// tare tuning list | show | diff | import | export | merge | prune: the tuning database and its text files.
#include <boost/json.hpp>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <map>

#include "autotune/store/merge.hpp"
#include "autotune/store/problem_text.hpp"
#include "core/app/cli.hpp"
#include "core/app/tuning_source.hpp"
#include "core/base/file.hpp"

namespace tare {
namespace {

struct Options {
  std::string database, sku, op, problem, folder, rule = "newest", older_than;
  std::vector<std::string> sources;
  bool as_json = false, stale = false, other_skus = false, dry_run = false;
};
using Body = std::function<Status(const Host&, const Options&)>;

// What --database names goes over the settings.
TuningPlaces places_of(const Host& host, const Options& o) {
  TuningPlaces places = host.tuning_places();
  if (!o.database.empty()) places.database = o.database;
  return places;
}
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
void keep(std::vector<TuningEntry>& entries, const Options& o) {
  std::erase_if(entries, [&](const TuningEntry& e) {
    return (!o.sku.empty() && e.key.sku != o.sku) || (!o.op.empty() && op_of(e.key.problem) != o.op);
  });
}
MergeRule rule_of(const std::string& name) {
  return name == "fastest" ? MergeRule::fastest : name == "given" ? MergeRule::given : MergeRule::newest;
}
std::string us(double value) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(value < 100 ? 2 : 0) << value << " us";
  return out.str();
}

boost::json::object json_of(const TuningEntry& e) {
  const auto& v = e.value;
  return {
      {"sku", e.key.sku},   {"problem", e.key.problem}, {"layout", e.key.layout},   {"numerics", e.key.numerics},
      {"rows", e.key.rows}, {"kernel", v.kernel},       {"config", v.config},       {"us", v.us},
      {"spread", v.spread}, {"first_us", v.first_us},   {"runner_up", v.runner_up}, {"runner_up_us", v.runner_up_us},
      {"gb_s", v.gb_s},     {"share", v.share},         {"baseline", v.baseline},   {"baseline_us", v.baseline_us},
      {"exact", v.exact},   {"hash", v.hash},           {"versions", v.versions},   {"date", v.date}};
}
boost::json::array json_of(const std::vector<TuningEntry>& entries) {
  boost::json::array out;
  for (const TuningEntry& e : entries) out.push_back(json_of(e));
  return out;
}
std::string key_text(const TuningKey& k) {
  return text(k.sku, " | ", k.problem, " | ", k.layout, " | ", k.numerics, " | ", k.rows,
              k.rows == 1 ? " row" : " rows");
}

Status list(const Host& host, const Options& o) {
  const std::string name = o.sources.empty() ? "user" : o.sources.front();
  TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
  keep(source.entries, o);
  struct Line {
    int64_t entries = 0;
    std::set<std::string> layouts;
    std::set<int64_t> rows;
    std::string first, last;  // dates
  };
  std::map<std::pair<std::string, std::string>, Line> lines;  // by SKU and problem
  for (const TuningEntry& e : source.entries) {
    Line& line = lines[{e.key.sku, e.key.problem}];
    ++line.entries, line.layouts.insert(e.key.layout), line.rows.insert(e.key.rows);
    if (line.first.empty() || e.value.date < line.first) line.first = e.value.date;
    line.last = std::max(line.last, e.value.date);
  }
  boost::json::array out;
  std::string sku, op;
  for (const auto& [key, line] : lines) {
    std::string layouts;
    for (const std::string& l : line.layouts) layouts += (layouts.empty() ? "" : ", ") + l;
    if (o.as_json) {
      out.push_back({{"sku", key.first},
                     {"op", op_of(key.second)},
                     {"problem", key.second},
                     {"entries", line.entries},
                     {"layouts", boost::json::array(line.layouts.begin(), line.layouts.end())},
                     {"rows", boost::json::array(line.rows.begin(), line.rows.end())},
                     {"first_date", line.first},
                     {"last_date", line.last}});
      continue;
    }
    if (sku != key.first) std::cout << (sku = key.first) << '\n', op.clear();
    if (op != op_of(key.second)) std::cout << "  " << (op = op_of(key.second)) << '\n';
    std::cout << "    " << key.second << "\n      " << line.entries << " entries, " << layouts << ", rows "
              << *line.rows.begin() << " to " << *line.rows.rbegin() << ", " << line.last << '\n';
  }
  if (o.as_json)
    std::cout << boost::json::object{{"source", source.path}, {"kind", source.kind}, {"problems", out}} << '\n';
  else
    std::cout << source.entries.size() << " entries in the " << source.kind << ' ' << source.path << '\n';
  return {};
}

Status show(const Host& host, const Options& o) {
  const std::string name = o.sources.empty() ? "user" : o.sources.front();
  TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
  keep(source.entries, o);
  std::erase_if(source.entries,
                [&](const TuningEntry& e) { return e.key.problem.find(o.problem) == std::string::npos; });
  if (source.entries.empty())
    return failure(Code::not_found, "no problem in ", source.path, " has '", o.problem, "' in it");
  if (o.as_json) {
    boost::json::array kept;
    for (const KeptNumerics& k : source.kept)
      if (k.problem.find(o.problem) != std::string::npos)
        kept.push_back({{"sku", k.sku}, {"problem", k.problem}, {"numerics", k.numerics}});
    std::cout << boost::json::object{{"source", source.path}, {"entries", json_of(source.entries)}, {"numerics", kept}}
              << '\n';
    return {};
  }
  TuningKey last;
  for (const TuningEntry& e : source.entries) {
    const auto& [k, v] = e;
    if (k.sku != last.sku || k.problem != last.problem) std::cout << k.problem << "\n  on " << k.sku << '\n';
    if (k.sku != last.sku || k.problem != last.problem || k.layout != last.layout || k.numerics != last.numerics)
      std::cout << "  " << k.layout << ", order of sums " << (k.numerics.empty() ? "none" : k.numerics) << '\n';
    last = k;
    std::cout << "    " << std::setw(4) << k.rows << "  " << v.kernel << ' ' << v.config << "  " << us(v.us) << " +- "
              << us(v.spread);
    if (v.gb_s > 0) std::cout << ", " << std::lround(v.gb_s * 10) / 10.0 << " GB/s";
    if (v.share > 0) std::cout << ", " << std::lround(v.share * 100) << " % of the roofline";
    if (!v.exact) std::cout << ", NOT exact";
    std::cout << '\n';
    if (!v.runner_up.empty()) std::cout << "          then " << v.runner_up << "  " << us(v.runner_up_us) << '\n';
    if (!v.baseline.empty()) std::cout << "          default " << v.baseline << "  " << us(v.baseline_us) << '\n';
    std::cout << "          " << v.date << ", " << v.versions << (v.hash.empty() ? "" : ", kernel " + v.hash) << '\n';
  }
  for (const KeptNumerics& k : source.kept)
    if (k.problem.find(o.problem) != std::string::npos)
      std::cout << "kept on " << k.sku << ": order of sums " << k.numerics << " for " << k.problem << '\n';
  return {};
}

Status diff(const Host& host, const Options& o) {
  if (o.sources.size() != 2)
    return invalid("diff compares two sources, ", o.sources.size(),
                   " were named: expected two of user, shipped or a path");
  std::vector<TuningSource> sides;
  for (const std::string& name : o.sources) {
    TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
    keep(source.entries, o);
    sides.push_back(std::move(source));
  }
  const TuningDifference d = difference(sides[0].entries, sides[1].entries);
  if (o.as_json) {
    boost::json::array changed;
    for (const auto& c : d.changed)
      changed.push_back({{"a", json_of(c.a)}, {"b", json_of(c.b)}, {"choice", c.choice}, {"time", c.time}});
    std::cout << boost::json::object{{"a", sides[0].path},          {"b", sides[1].path}, {"only_a", json_of(d.only_a)},
                                     {"only_b", json_of(d.only_b)}, {"changed", changed}, {"equal", d.equal}}
              << '\n';
    return {};
  }
  for (const TuningEntry& e : d.only_a)
    std::cout << "- " << key_text(e.key) << ": " << e.value.kernel << ' ' << e.value.config << '\n';
  for (const TuningEntry& e : d.only_b)
    std::cout << "+ " << key_text(e.key) << ": " << e.value.kernel << ' ' << e.value.config << '\n';
  for (const auto& c : d.changed) {
    std::cout << "~ " << key_text(c.a.key) << '\n';
    for (const auto& [mark, e] : {std::pair<char, const TuningEntry*>{'<', &c.a}, {'>', &c.b}})
      std::cout << "    " << mark << ' ' << e->value.kernel << ' ' << e->value.config << "  " << us(e->value.us) << ", "
                << e->value.date << (e->value.hash.empty() ? "" : ", kernel " + e->value.hash)
                << (e->value.exact ? "" : ", NOT exact") << '\n';
  }
  std::cout << d.only_a.size() << " only in " << sides[0].path << ", " << d.only_b.size() << " only in "
            << sides[1].path << ", " << d.changed.size() << " differ, " << d.equal << " are equal\n";
  return {};
}

// Merges sets behind what the database has, writes what changed, keeps orders of sums that were there.
Status merge_into(TuningDatabase& database, std::vector<std::vector<TuningEntry>> sets,
                  const std::vector<KeptNumerics>& kept, const Options& o) {
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

Status import(const Host& host, const Options& o) {
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

Status merge_sources(const Host& host, const Options& o) {
  std::vector<std::vector<TuningEntry>> sets;
  std::vector<KeptNumerics> kept;
  for (const std::string& name : o.sources) {
    TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
    keep(source.entries, o);
    sets.push_back(std::move(source.entries));
    for (KeptNumerics& k : source.kept)
      if (o.sku.empty() || k.sku == o.sku) kept.push_back(std::move(k));
  }
  TARE_ASSIGN_OR_RETURN(const auto database, writable_database(places_of(host, o)));
  return merge_into(*database, std::move(sets), kept, o);
}

Status export_files(const Host& host, const Options& o) {
  const std::string name = o.sources.empty() ? "user" : o.sources.front();
  TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
  keep(source.entries, o);
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

Status prune(const Host& host, const Options& o) {
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
    for (const Pruned& p : pruned) out.push_back({{"key", key_text(p.key)}, {"reason", p.reason}});
    std::cout << boost::json::object{{"database", places.database},
                                     {"pruned", out},
                                     {"left", entries.size() - keys.size()},
                                     {"dry_run", o.dry_run}}
              << '\n';
    return {};
  }
  for (const Pruned& p : pruned) std::cout << key_text(p.key) << ": " << p.reason << '\n';
  std::cout << keys.size() << (o.dry_run ? " entries would go, " : " entries are gone, ")
            << entries.size() - keys.size() << (o.dry_run ? " would stay\n" : " are left\n");
  return {};
}

}  // namespace

void add_tuning(CLI::App& app, CommandLine& line) {
  auto* tuning = app.add_subcommand("tuning", "Look at measured choices of kernels, move them, throw old ones away");
  tuning->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, Status (*body)(const Host&, const Options&)) {
    auto* command = tuning->add_subcommand(name, about);
    auto o = std::make_shared<Options>();
    command->add_option("--database", o->database, "Instead of this user's database");
    command->add_flag("--json", o->as_json, "Machine-readable");
    command->add_option("--sku", o->sku, "Of this SKU alone");
    command->callback([&line, o, body] {
      line.run = [&line, o, body] {
        const auto host = line.host();
        if (!host.ok()) return fail(host.status());
        const Status status = body(**host, *o);
        return status.ok() ? 0 : fail(status);
      };
    });
    return std::pair(command, o);
  };
  constexpr const char* kSource = "user (this user's database), shipped, a database, a folder or a file of it";
  const auto rule = [](CLI::App* command, const std::shared_ptr<Options>& o, std::vector<std::string> rules) {
    command
        ->add_option(
            "--prefer", o->rule,
            "Of two entries of one key: newest (of equal dates the faster), fastest, or given (what is offered)")
        ->check(CLI::IsMember(std::move(rules)));
    command->add_flag("--dry-run", o->dry_run, "Say what would change, write nothing");
  };
  {
    auto [command, o] = add("list", "Problems by SKU and op, with how many entries each has", list);
    command->add_option("SOURCE", o->sources, kSource)->expected(0, 1);
    command->add_option("--op", o->op, "Of this op alone: linear");
  }
  {
    auto [command, o] = add("show", "One problem's entries, with runner-up, default and where they come from", show);
    command->add_option("PROBLEM", o->problem, "What the printed problem has in it: \"n=2048 k=8192\"")->required();
    command->add_option("SOURCE", o->sources, kSource)->expected(0, 1);
    command->add_option("--op", o->op, "Of this op alone");
  }
  {
    auto [command, o] = add("diff", "What two sources say differently", diff);
    command->add_option("SOURCES", o->sources, kSource)->expected(2)->required();
    command->add_option("--op", o->op, "Of this op alone");
  }
  {
    auto [command, o] = add("import", "Entries of text files (or databases) into the database", import);
    command->add_option("SOURCES", o->sources, kSource)->required();
    rule(command, o, {"newest", "fastest", "given"});
  }
  {
    auto [command, o] = add("export", "Entries into text files: FOLDER/ARCHITECTURE/SKU/OP.toml", export_files);
    command->add_option("FOLDER", o->folder, "Where the files go")->required();
    command->add_option("SOURCE", o->sources, kSource)->expected(0, 1);
    command->add_option("--op", o->op, "Of this op alone");
  }
  {
    auto [command, o] = add("merge", "Several sources into the database, of any SKU", merge_sources);
    command->add_option("SOURCES", o->sources, kSource)->required();
    rule(command, o, {"newest", "fastest", "given"});
  }
  {
    auto [command, o] = add("prune", "Throw entries of the database away", prune);
    command->add_flag("--stale", o->stale, "Those of kernels that are gone or were built anew");
    command->add_flag("--other-skus", o->other_skus,
                      "Those of SKUs other than --sku, or than the devices that are here");
    command->add_option("--older-than", o->older_than, "Those from before: 90d, or 2026-01-31");
    command->add_flag("--dry-run", o->dry_run, "Say what would go, and keep it");
  }
}

}  // namespace tare
