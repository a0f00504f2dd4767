#include "core/app/autotune_report.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdio>
#include <iomanip>
#include <map>
#include <ostream>

#include "core/base/progress.hpp"

namespace tare {
namespace {

using KeyState = KeyOutcome::State;
constexpr std::string_view kStates[] = {"tuned", "known", "unfinished", "failed"};
std::string_view state_name(KeyState s) { return kStates[static_cast<size_t>(s)]; }

bool is_done(const KeyOutcome& k) { return k.state == KeyState::tuned || k.state == KeyState::known; }
double ratio(const KeyOutcome& k) {
  return k.entry.value.baseline_us > 0 ? k.entry.value.us / k.entry.value.baseline_us : 1;
}
std::string fixed(double value, int digits) {
  char out[64];
  std::snprintf(out, sizeof out, "%.*f", digits, value);
  return out;
}
// One kernel whatever is fused behind it: "linear.cpu_amx_bf16+add {..}" and "linear.cpu_amx_bf16 {..}" are one.
std::string family_of(const std::string& name) {
  const size_t space = name.find(' '), plus = name.find('+');
  return plus < space ? name.substr(0, plus) + name.substr(space) : name;
}
std::string percent_faster(double time_ratio) { return fixed(100 * (1 / time_ratio - 1), 1) + " %"; }

}  // namespace

double tuned_against_default(const TunerOutcome& outcome) {
  double logs = 0;
  int64_t count = 0;
  for (const KeyOutcome& k : outcome.keys)
    if (is_done(k)) logs += std::log(ratio(k)), ++count;
  return count > 0 ? std::exp(logs / static_cast<double>(count)) : 1;
}

std::vector<PipelineComparison> compare_pipelines(const TunerOutcome& outcome) {
  struct Sums {
    double tuned = 0;
    int64_t choices = 0;
    std::map<std::string, std::pair<double, int64_t>> fixed;
  };
  std::map<std::pair<std::string, bool>, Sums> groups;  // by layout; many rows?
  for (const KeyOutcome& k : outcome.keys) {
    if (!is_done(k)) continue;
    Sums& s = groups[{k.key.layout, k.key.rows > 64}];
    s.tuned += std::log(ratio(k)), ++s.choices;
    const auto base = std::ranges::find(k.tried, k.entry.value.baseline, &TriedOutcome::name);
    if (base == k.tried.end() || base->us <= 0) continue;
    for (const TriedOutcome& t : k.tried)
      if (t.refused.empty() && t.us > 0) {
        auto& [logs, count] = s.fixed[family_of(t.name)];
        logs += std::log(t.us / base->us), ++count;
      }
  }
  std::vector<PipelineComparison> out;
  for (const auto& [group, s] : groups) {
    PipelineComparison c{group.first, group.second ? "above 64" : "1 to 64", s.choices, 1, 1, ""};
    c.tuned = std::exp(s.tuned / static_cast<double>(s.choices));
    for (const auto& [name, sum] : s.fixed) {
      const double mean = std::exp(sum.first / static_cast<double>(sum.second));
      if (sum.second == s.choices && (c.fixed_name.empty() || mean < c.fixed)) c.fixed = mean, c.fixed_name = name;
    }
    out.push_back(std::move(c));
  }
  return out;
}

void print(const TunerOutcome& outcome, const AutotuneFacts& facts, std::ostream& out) {
  out << facts.what << " on " << facts.device->name << " (" << facts.device->sku << ", " << facts.device->units
      << " units): " << outcome.count(KeyState::tuned) << " choices tuned, " << outcome.count(KeyState::known)
      << " known, " << outcome.count(KeyState::unfinished) << " left, " << outcome.count(KeyState::failed)
      << " failed, in " << fixed(outcome.seconds, 1) << " s\n";
  for (const NumericsChoice& n : outcome.numerics) {
    if (n.kept) continue;
    out << "  order of sums of " << n.problem << ": " << n.numerics;
    for (const auto& [id, time] : n.measured) out << ", " << id << " takes " << fixed(time, 2) << " times as long";
    out << '\n';
  }
  std::string heading;
  for (const KeyOutcome& k : outcome.keys) {
    if (!is_done(k)) continue;
    const TuningValue& v = k.entry.value;
    if (const std::string now = k.key.problem + ", " + k.key.layout; now != heading) out << (heading = now) << '\n';
    char line[256];
    std::snprintf(line, sizeof line, "  %5lld rows %9.1f us  %6.2f GB/s  %3.0f %%  %+6.1f %%  ",
                  static_cast<long long>(k.key.rows), v.us, v.gb_s, 100 * v.share, 100 * (1 / ratio(k) - 1));
    out << line << v.kernel << ' ' << v.config << (v.baseline == v.kernel + " " + v.config ? "  (the default)" : "")
        << '\n';
  }
  for (const KeyOutcome& k : outcome.keys)
    if (k.state == KeyState::failed)
      out << "failed: " << k.key.problem << ", " << k.key.layout << ", " << k.key.rows << " rows: " << k.note << '\n';
  for (const GateFailure& f : outcome.failures)
    out << "not exact, never chosen: " << f.kernel << ' ' << f.config << " at " << f.key.rows << " rows of "
        << f.key.problem << ": " << f.reason << '\n';
  out << "tuned is " << percent_faster(tuned_against_default(outcome))
      << " faster than the default rule (geometric mean over "
      << outcome.count(KeyState::tuned) + outcome.count(KeyState::known) << " choices)\n";
  if (outcome.out_of_time)
    out << "the budget of " << fixed(facts.budget, 1) << " s is over: " << outcome.count(KeyState::unfinished)
        << " choices are left; what was measured is kept, the next run goes on from there\n";
  if (outcome.stopped) out << "stopped: what was measured is kept, the next run goes on from there\n";
}

std::string to_json(const TunerOutcome& outcome, const AutotuneFacts& facts, const Qualification* qualification) {
  namespace json = boost::json;
  json::array choices, numerics, failures, comparisons, gates, files;
  for (const KeyOutcome& k : outcome.keys) {
    const TuningValue& v = k.entry.value;
    json::array tried;
    for (const TriedOutcome& t : k.tried)
      tried.push_back({{"name", t.name}, {"us", t.us}, {"spread", t.spread}, {"refused", t.refused}});
    json::object o{{"problem", k.key.problem}, {"layout", k.key.layout},       {"numerics", k.key.numerics},
                   {"rows", k.key.rows},       {"state", state_name(k.state)}, {"note", k.note}};
    if (is_done(k))
      for (auto& [name, value] : json::object{{"kernel", v.kernel},
                                              {"config", v.config},
                                              {"us", v.us},
                                              {"spread", v.spread},
                                              {"first_us", v.first_us},
                                              {"runner_up", v.runner_up},
                                              {"runner_up_us", v.runner_up_us},
                                              {"baseline", v.baseline},
                                              {"baseline_us", v.baseline_us},
                                              {"baseline_first_us", k.baseline_first_us},
                                              {"gb_s", v.gb_s},
                                              {"share", v.share},
                                              {"roofline_us", k.roofline_us},
                                              {"exact", v.exact},
                                              {"hash", v.hash},
                                              {"date", v.date},
                                              {"measured", k.measured},
                                              {"pruned", k.pruned},
                                              {"resumed", k.resumed},
                                              {"unconfirmed", k.unconfirmed}})
        o.emplace(name, value);
    o.emplace("tried", std::move(tried));
    choices.push_back(std::move(o));
  }
  for (const NumericsChoice& n : outcome.numerics) {
    json::object measured;
    for (const auto& [id, time] : n.measured) measured.emplace(id, time);
    numerics.push_back(
        {{"problem", n.problem}, {"numerics", n.numerics}, {"kept", n.kept}, {"relative_time", std::move(measured)}});
  }
  for (const GateFailure& f : outcome.failures)
    failures.push_back({{"kernel", f.kernel},
                        {"config", f.config},
                        {"problem", f.key.problem},
                        {"layout", f.key.layout},
                        {"rows", f.key.rows},
                        {"reason", f.reason}});
  for (const PipelineComparison& c : compare_pipelines(outcome))
    comparisons.push_back({{"layout", c.layout},
                           {"rows", c.rows},
                           {"choices", c.choices},
                           {"tuned_beside_default", c.tuned},
                           {"best_fixed_beside_default", c.fixed},
                           {"best_fixed", c.fixed_name}});
  json::object peaks;
  for (const auto& [id, peak] : outcome.peaks) peaks.emplace(id, peak);
  json::object out{{"what", facts.what},
                   {"device", facts.device->name},
                   {"sku", facts.device->sku},
                   {"architecture", facts.device->architecture},
                   {"units", facts.device->units},
                   {"database", facts.database},
                   {"version", facts.version},
                   {"date", facts.date},
                   {"budget_seconds", facts.budget},
                   {"cold_bytes", facts.cold_bytes},
                   {"shared_with", facts.others},
                   {"seconds", outcome.seconds},
                   {"out_of_time", outcome.out_of_time},
                   {"stopped", outcome.stopped},
                   {"bytes_per_second", outcome.bytes_per_second},
                   {"peak_operations_per_second", std::move(peaks)},
                   {"tuned_beside_default", tuned_against_default(outcome)},
                   {"comparisons", std::move(comparisons)},
                   {"numerics", std::move(numerics)},
                   {"failures", std::move(failures)},
                   {"choices", std::move(choices)}};
  for (const KeyState s : {KeyState::tuned, KeyState::known, KeyState::unfinished, KeyState::failed})
    out.emplace(std::string(state_name(s)), outcome.count(s));
  if (qualification != nullptr) {
    for (const GateOutcome& g : qualification->gates)
      gates.push_back({{"kernel", g.kernel},
                       {"layout", g.layout},
                       {"numerics", g.numerics},
                       {"checked", g.checked},
                       {"failure", g.failure}});
    for (const std::string& f : qualification->files) files.push_back(json::string(f));
    out.emplace("verdict", qualification->sentence);
    out.emplace("gates", std::move(gates)), out.emplace("files", std::move(files));
    out.emplace("compared_with_shipped", qualification->compared);
    out.emplace("against_shipped", qualification->against_shipped);
  }
  return json::serialize(out);
}

namespace {

using namespace report;

// Problems in order, each with its choices of one layout.
std::vector<std::string> problems_in(const TunerOutcome& outcome) {
  std::vector<std::string> out;
  for (const KeyOutcome& k : outcome.keys)
    if (std::ranges::find(out, k.key.problem) == out.end()) out.push_back(k.key.problem);
  return out;
}

LinePlot plot_of(const TunerOutcome& outcome, const std::string& problem) {
  LinePlot plot{.title = problem,
                .description = "Time of a launch on cold weights, beside what bytes and arithmetic allow at least.",
                .x = {.title = "rows", .scale = report::Scale::log2},
                .y = {.title = "time", .unit = "us", .scale = report::Scale::log10}};
  std::map<std::string, std::array<LinePlot::Series, 3>> by_layout;
  for (const KeyOutcome& k : outcome.keys) {
    if (k.key.problem != problem || !is_done(k)) continue;
    auto& [tuned, base, least] = by_layout[k.key.layout];
    const auto rows = static_cast<double>(k.key.rows);
    tuned.points.push_back({rows, k.entry.value.us}), base.points.push_back({rows, k.entry.value.baseline_us});
    if (k.entry.value.share > 0) least.points.push_back({rows, k.entry.value.us * k.entry.value.share});
  }
  for (auto& [layout, all] : by_layout) {
    const char* const names[] = {", tuned", ", default", ", roofline"};
    for (size_t i = 0; i < 3; ++i) {
      all[i].name = layout + names[i];
      std::ranges::sort(all[i].points, {}, &Point::x);
      if (!all[i].points.empty()) plot.series.push_back(std::move(all[i]));
    }
  }
  return plot;
}

BarPlot gains_of(const TunerOutcome& outcome, const std::string& problem) {
  BarPlot plot{.title = "Against the default rule: " + problem,
               .description = "How much faster the choice is than what the rule takes; 0: the rule is best.",
               .category_title = "rows",
               .y = {.title = "faster", .unit = "%"}};
  std::map<std::string, std::map<int64_t, double>> gains;
  std::map<int64_t, int> rows;
  for (const KeyOutcome& k : outcome.keys)
    if (k.key.problem == problem && is_done(k))
      gains[k.key.layout][k.key.rows] = 100 * (1 / ratio(k) - 1), rows[k.key.rows] = 1;
  for (const auto& [r, unused] : rows) plot.categories.push_back(std::to_string(r));
  for (const auto& [layout, values] : gains) {
    BarPlot::Series s{.name = layout};
    for (const auto& [r, unused] : rows) s.values.push_back(values.contains(r) ? values.at(r) : std::nan(""));
    plot.series.push_back(std::move(s));
  }
  return plot;
}

Table choices_of(const TunerOutcome& outcome) {
  Table t{.title = "Every choice",
          .columns = {{"problem"},
                      {"layout"},
                      {"order of sums"},
                      {.name = "rows", .numeric = true},
                      {"kernel"},
                      {"config"},
                      {.name = "time", .unit = "us", .numeric = true, .decimals = 1},
                      {.name = "spread", .unit = "us", .numeric = true, .decimals = 2},
                      {.name = "at the first row count", .unit = "us", .numeric = true, .decimals = 1},
                      {.name = "default", .unit = "us", .numeric = true, .decimals = 1},
                      {.name = "faster", .unit = "%", .numeric = true, .decimals = 1},
                      {"runner-up"},
                      {.name = "its time", .unit = "us", .numeric = true, .decimals = 1},
                      {.name = "weights", .unit = "GB/s", .numeric = true, .decimals = 2},
                      {.name = "of the roofline", .unit = "%", .numeric = true, .decimals = 0},
                      {.name = "tried", .numeric = true},
                      {.name = "pruned", .numeric = true},
                      {"state"}}};
  for (const KeyOutcome& k : outcome.keys) {
    const TuningValue& v = k.entry.value;
    if (!is_done(k)) {
      t.rows.push_back({k.key.problem, k.key.layout, k.key.numerics, k.key.rows, "", k.note, std::nan(""), std::nan(""),
                        std::nan(""), std::nan(""), std::nan(""), "", std::nan(""), std::nan(""), std::nan(""),
                        std::ssize(k.tried), k.pruned, std::string(state_name(k.state))});
      continue;
    }
    t.rows.push_back({k.key.problem, k.key.layout, k.key.numerics, k.key.rows, v.kernel, v.config, v.us, v.spread,
                      v.first_us, v.baseline_us, 100 * (1 / ratio(k) - 1), v.runner_up,
                      v.runner_up_us > 0 ? v.runner_up_us : std::nan(""), v.gb_s,
                      v.share > 0 ? 100 * v.share : std::nan(""), std::ssize(k.tried), k.pruned,
                      std::string(state_name(k.state))});
  }
  return t;
}

Table tried_of(const TunerOutcome& outcome) {
  Table t{.title = "Every candidate",
          .columns = {{"problem"},
                      {"layout"},
                      {.name = "rows", .numeric = true},
                      {"candidate"},
                      {.name = "quick time", .unit = "us", .numeric = true, .decimals = 1},
                      {"refused"}}};
  for (const KeyOutcome& k : outcome.keys)
    for (const TriedOutcome& c : k.tried)
      t.rows.push_back({k.key.problem, k.key.layout, k.key.rows, c.name, c.us > 0 ? c.us : std::nan(""), c.refused});
  return t;
}

}  // namespace

Report to_report(const TunerOutcome& outcome, const AutotuneFacts& facts, const Qualification* qualification) {
  Report out{
      .title = "Autotuning of " + facts.what,
      .subtitle = text(facts.device->name, ", ", facts.device->units, " units"),
      .facts = {
          {"SKU", facts.device->sku},
          {"version", facts.version},
          {"date", facts.date},
          {"database", facts.database},
          {"time", fixed(outcome.seconds, 1) + " s"},
          {"choices", text(outcome.count(KeyState::tuned), " tuned, ", outcome.count(KeyState::known), " known, ",
                           outcome.count(KeyState::unfinished), " left, ", outcome.count(KeyState::failed), " failed")},
          {"against the default rule", percent_faster(tuned_against_default(outcome)) + " faster"},
          {"memory read", outcome.bytes_per_second > 0 ? fixed(outcome.bytes_per_second * 1e-9, 1) + " GB/s"
                                                       : "not measured in this run"},
          {"weights", "random, as trained models have them; outliers included"},
          {"cold copies", human_bytes(facts.cold_bytes)}}};
  if (!facts.others.empty()) out.facts.push_back({"shared", facts.others + ": figures may be wrong"});
  for (const auto& [id, peak] : outcome.peaks)
    if (peak > 0) out.facts.push_back({"arithmetic, " + id, fixed(peak * 1e-9, 0) + " GFLOP/s"});
  if (qualification != nullptr) {
    out.facts.insert(out.facts.begin(), {"verdict", qualification->sentence});
    Table gates{
        .title = "Exactness gates",
        .columns = {{"kernel"}, {"layout"}, {"order of sums"}, {.name = "checks", .numeric = true}, {"result"}}};
    for (const GateOutcome& g : qualification->gates)
      gates.rows.push_back({g.kernel, g.layout, g.numerics, g.checked, g.failure.empty() ? "equal bits" : g.failure});
    out.sections.push_back({"Gates", {std::move(gates)}});
  }
  Table against{.title = "Time beside the default rule's, geometric means",
                .columns = {{"layout"},
                            {"rows"},
                            {.name = "choices", .numeric = true},
                            {.name = "tuned", .numeric = true, .decimals = 3},
                            {.name = "best single pipeline", .numeric = true, .decimals = 3},
                            {"which"}}};
  for (const PipelineComparison& c : compare_pipelines(outcome))
    against.rows.push_back({c.layout, c.rows, c.choices, c.tuned, c.fixed, c.fixed_name});
  out.sections.push_back(
      {"Against the rule and against one pipeline for all",
       {Paragraph{"Below 1 is faster than the default. The single pipeline is the one kernel and config that would be "
                  "fastest over all choices of its line; its figure is of quick measurements."},
        std::move(against)}});
  for (const std::string& problem : problems_in(outcome)) {
    LinePlot times = plot_of(outcome, problem);
    if (times.series.empty()) continue;
    out.sections.push_back({problem, {std::move(times), gains_of(outcome, problem)}});
  }
  Table orders{.title = "Orders of sums",
               .columns = {{"problem"}, {"kept"}, {"from an earlier run"}, {"time beside the first order's"}}};
  for (const NumericsChoice& n : outcome.numerics) {
    std::string measured;
    for (const auto& [id, time] : n.measured) measured += text(measured.empty() ? "" : ", ", id, " ", fixed(time, 2));
    orders.rows.push_back({n.problem, n.numerics, n.kept ? "yes" : "no", measured});
  }
  out.sections.push_back({"Orders of sums", {std::move(orders)}});
  if (!outcome.failures.empty()) {
    Table failures{
        .title = "Not exact, never chosen",
        .columns = {{"kernel"}, {"config"}, {"problem"}, {"layout"}, {.name = "rows", .numeric = true}, {"why"}}};
    for (const GateFailure& f : outcome.failures)
      failures.rows.push_back({f.kernel, f.config, f.key.problem, f.key.layout, f.key.rows, f.reason});
    out.sections.push_back({"Failed gates", {std::move(failures)}});
  }
  out.sections.push_back({"Choices", {choices_of(outcome)}});
  out.sections.push_back({"Candidates", {tried_of(outcome)}});
  return out;
}

}  // namespace tare
