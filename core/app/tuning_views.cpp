// tare tuning list | show | diff: entries as they are.
#include <boost/json.hpp>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <map>

#include "autotune/store/merge.hpp"
#include "autotune/store/problem_text.hpp"
#include "core/app/tuning_commands.hpp"
#include "core/app/tuning_source.hpp"

namespace tare {
namespace {

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

}  // namespace

Status list_tuning(const Host& host, const TuningOptions& o) {
  const std::string name = o.sources.empty() ? "user" : o.sources.front();
  TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
  keep_asked_for(source.entries, o);
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

Status show_tuning(const Host& host, const TuningOptions& o) {
  const std::string name = o.sources.empty() ? "user" : o.sources.front();
  TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
  keep_asked_for(source.entries, o);
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

Status diff_tuning(const Host& host, const TuningOptions& o) {
  if (o.sources.size() != 2)
    return invalid("diff compares two sources, ", o.sources.size(),
                   " were named: expected two of user, shipped or a path");
  std::vector<TuningSource> sides;
  for (const std::string& name : o.sources) {
    TARE_ASSIGN_OR_RETURN(TuningSource source, read_tuning_source(places_of(host, o), name));
    keep_asked_for(source.entries, o);
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
    std::cout << "- " << to_line(e.key) << ": " << e.value.kernel << ' ' << e.value.config << '\n';
  for (const TuningEntry& e : d.only_b)
    std::cout << "+ " << to_line(e.key) << ": " << e.value.kernel << ' ' << e.value.config << '\n';
  for (const auto& c : d.changed) {
    std::cout << "~ " << to_line(c.a.key) << '\n';
    for (const auto& [mark, e] : {std::pair<char, const TuningEntry*>{'<', &c.a}, {'>', &c.b}})
      std::cout << "    " << mark << ' ' << e->value.kernel << ' ' << e->value.config << "  " << us(e->value.us) << ", "
                << e->value.date << (e->value.hash.empty() ? "" : ", kernel " + e->value.hash)
                << (e->value.exact ? "" : ", NOT exact") << '\n';
  }
  std::cout << d.only_a.size() << " only in " << sides[0].path << ", " << d.only_b.size() << " only in "
            << sides[1].path << ", " << d.changed.size() << " differ, " << d.equal << " are equal\n";
  return {};
}

}  // namespace tare
