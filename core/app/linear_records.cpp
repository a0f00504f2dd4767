#include "core/app/linear_records.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <tuple>

namespace tare {
namespace json = boost::json;
namespace {

double number(const json::object& o, std::string_view key) {
  const json::value* v = o.if_contains(key);
  return v != nullptr && v->is_number() ? v->to_number<double>() : 0;
}
std::string word(const json::object& o, std::string_view key, std::string_view otherwise = "") {
  const json::value* v = o.if_contains(key);
  return std::string(v != nullptr && v->is_string() ? std::string_view(v->as_string()) : otherwise);
}

LinearRow row_of(const json::object& o) {
  LinearRow r{.device = word(o, "device"),
              .shape = word(o, "shape", "llama-3.1-8b"),  // what records that do not say are of
              .code = word(o, "code", "w12"),
              .weights = word(o, "weights")};
  r.tokens = static_cast<int64_t>(number(o, "tokens"));
  r.resident_bytes = static_cast<int64_t>(number(o, "resident_bytes"));
  r.us = number(o, "us"), r.vendor_us = number(o, "vendor_us");
  r.without_dependent_us = number(o, "without_dependent_us"), r.dense_us = number(o, "dense_us");
  r.limit_share = number(o, "limit_share"), r.flop_share = number(o, "flop_share");
  r.singles_speed_up = number(o, "singles_speed_up");
  r.sustained_us = number(o, "sustained_us"), r.sustained_vendor_us = number(o, "sustained_vendor_us");
  r.fixed_order_us = number(o, "fixed_order_us"), r.free_order_us = number(o, "free_order_us");
  r.stale = o.if_contains("measured") != nullptr, r.compiler = word(o, "nvrtc");
  if (const json::value* configs = o.if_contains("configs"); configs != nullptr && configs->is_array()) {
    for (const json::value& c : configs->as_array())
      if (c.is_string()) r.configs.emplace_back(c.as_string());
  }
  if (const json::value* kernels = o.if_contains("kernels"); kernels != nullptr && kernels->is_array()) {
    for (const json::value& k : kernels->as_array())
      if (k.is_object()) r.ptx.push_back(word(k.as_object(), "ptx"));
  }
  return r;
}

// "1.46x", or a dash for what was not measured.
std::string times(double ratio) {
  if (ratio <= 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2fx", ratio);
  return text;
}
std::string fixed(double value, int decimals) {
  if (value <= 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}
std::string price(const LinearRow& r) {
  if (r.free_order_us <= 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", r.order_price() * 100);
  return text;
}
// "one order of sums costs 0.3 % in the geometric mean, 0.5 % at most"; empty: not measured.
std::string price_of_all(const std::vector<LinearRow>& rows) {
  const auto mean = mean_order_price(rows);
  if (!mean) return "";
  double most = 0;
  for (const LinearRow& r : rows) most = std::max(most, r.order_price());
  char text[128];
  std::snprintf(text, sizeof text, "%.1f %% in the geometric mean, %.1f %% at most", *mean * 100, most * 100);
  return text;
}

// The larger of the two shares, and which it is.
std::string limit(const LinearRow& r) {
  const bool flops = r.flop_share > r.limit_share;
  return fixed(100 * std::max(r.flop_share, r.limit_share), 0) + (flops ? " % flop" : " % byte");
}
auto group_of(const LinearRow& r) { return std::tie(r.device, r.shape, r.code, r.weights); }
std::string title_of(const LinearRow& r) {
  return r.device + ", " + r.shape + ", " + r.code + (r.weights.empty() ? "" : ", " + r.weights + " weights");
}

// Rows of one device, shape and code, in order.
template <class Visit>
void by_group(const LinearRecords& records, Visit&& visit) {
  for (size_t begin = 0; begin < records.rows.size();) {
    size_t end = begin;
    while (end < records.rows.size() && group_of(records.rows[end]) == group_of(records.rows[begin])) ++end;
    visit(std::vector<LinearRow>(records.rows.begin() + static_cast<std::ptrdiff_t>(begin),
                                 records.rows.begin() + static_cast<std::ptrdiff_t>(end)));
    begin = end;
  }
}

std::string exactness(const LinearRecords& records) {
  return std::to_string(records.wrong) + " of " + std::to_string(records.comparisons) +
         " comparisons of whole outputs with the dense reference differ";
}

}  // namespace

Status add_linear_record(const std::string& line, const std::string& where, LinearRecords& records) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) return invalid(where, " is no JSON object");
  const json::object& o = value.as_object();
  const std::string kind = word(o, "kind");
  if (kind == "exactness") {
    records.comparisons += static_cast<int64_t>(number(o, "comparisons"));
    records.wrong += static_cast<int64_t>(number(o, "wrong"));
  }
  if (kind != "layer") return {};
  LinearRow row = row_of(o);
  if (row.tokens <= 0 || row.us <= 0) return invalid(where, " is a layer's record without \"tokens\" and \"us\"");
  records.rows.push_back(std::move(row));
  return {};
}

void sort(LinearRecords& records) {
  std::ranges::stable_sort(records.rows, [](const LinearRow& a, const LinearRow& b) {
    return std::tuple_cat(group_of(a), std::tie(a.tokens)) < std::tuple_cat(group_of(b), std::tie(b.tokens));
  });
}

Status read_linear_records(const std::string& path, LinearRecords& records) {
  std::ifstream in(path);
  if (!in) return failure(Code::not_found, path, " cannot be read");
  int at = 0;
  for (std::string line; std::getline(in, line);) {
    ++at;
    if (!line.empty()) TARE_RETURN_IF_ERROR(add_linear_record(line, path + ":" + std::to_string(at), records));
  }
  sort(records);
  return {};
}

std::optional<double> mean_order_price(std::span<const LinearRow> rows) {
  double logs = 0, count = 0;
  for (const LinearRow& r : rows)
    if (r.free_order_us > 0) logs += std::log(1 + r.order_price()), ++count;
  return count > 0 ? std::optional(std::exp(logs / count) - 1) : std::nullopt;
}

std::string linear_text(const LinearRecords& records) {
  std::string out;
  by_group(records, [&](const std::vector<LinearRow>& rows) {
    out += title_of(rows[0]) + "\n";
    for (const LinearRow& r : rows)
      if (r.resident_bytes > 0) {
        out += fixed(static_cast<double>(r.resident_bytes) / 1e6, 1) + " MB a layer resident\n";
        break;
      }
    char line[256];
    std::snprintf(line, sizeof line, "%6s %10s %10s %8s %8s %10s %11s %8s %8s %10s %8s\n", "rows", "ours us",
                  "vendor us", "burst", "singles", "sustained", "limit", "bytes", "kernel", "dependent", "order");
    out += line;
    for (const LinearRow& r : rows) {
      std::snprintf(line, sizeof line, "%6lld %10.1f %10s %8s %8s %10s %11s %8s %8s %10s %8s%s\n",
                    static_cast<long long>(r.tokens), r.us, fixed(r.vendor_us, 1).c_str(), times(r.speed_up()).c_str(),
                    times(r.singles_speed_up).c_str(), times(r.sustained_speed_up()).c_str(), limit(r).c_str(),
                    times(r.bytes()).c_str(), times(r.kernel()).c_str(), times(r.dependent()).c_str(), price(r).c_str(),
                    r.stale ? "  stale" : "");
      out += line;
    }
    if (const std::string cost = price_of_all(rows); !cost.empty()) out += "price of one order of sums: " + cost + "\n";
    out += "\n";
  });
  return out + exactness(records) + "\n";
}

std::string linear_json(const LinearRecords& records) {
  json::array rows;
  for (const LinearRow& r : records.rows) {
    json::object row{{"device", r.device},
                     {"shape", r.shape},
                     {"code", r.code},
                     {"weights", r.weights},
                     {"rows", r.tokens},
                     {"us", r.us},
                     {"vendor_us", r.vendor_us},
                     {"speed_up", r.speed_up()},
                     {"resident_bytes", r.resident_bytes},
                     {"limit_share", r.limit_share},
                     {"flop_share", r.flop_share},
                     {"stale", r.stale},
                     {"compiler", r.compiler},
                     {"ptx", json::array(r.ptx.begin(), r.ptx.end())}};
    if (r.dense_us > 0) row["dense_us"] = r.dense_us;
    if (r.singles_speed_up > 0) row["singles_speed_up"] = r.singles_speed_up;
    if (r.sustained_us > 0) row["sustained_speed_up"] = r.sustained_speed_up();
    if (r.dense_us > 0) row["gain"] = {{"bytes", r.bytes()}, {"kernel", r.kernel()}, {"dependent", r.dependent()}};
    if (r.free_order_us > 0) row["order_price"] = r.order_price();
    rows.push_back(std::move(row));
  }
  json::array prices;
  by_group(records, [&](const std::vector<LinearRow>& of) {
    if (const auto mean = mean_order_price(of))
      prices.push_back(json::object{{"device", of[0].device},
                                    {"shape", of[0].shape},
                                    {"code", of[0].code},
                                    {"weights", of[0].weights},
                                    {"geometric_mean", *mean}});
  });
  return json::serialize(json::object{{"rows", std::move(rows)},
                                      {"order_prices", std::move(prices)},
                                      {"comparisons", records.comparisons},
                                      {"differing", records.wrong}});
}

report::Report linear_report(const LinearRecords& records) {
  using namespace report;
  Report page{.title = "Linear products from compressed weights",
              .subtitle = "A layer's four products against the vendor's best algorithm",
              .facts = {{"exactness", exactness(records)}}};
  LinePlot plot{
      .title = "Speed-up against the vendor's best",
      .description = "Bursts: graph replays of a few milliseconds after a rest. Above 1 is faster than the vendor.",
      .x = {.title = "rows", .scale = report::Scale::log2},
      .y = {.title = "times"},
      .levels = {{"vendor", 1.0}}};
  std::vector<Section> sections;
  by_group(records, [&](const std::vector<LinearRow>& rows) {
    const std::string name = title_of(rows[0]);
    LinePlot::Series burst{.name = name}, sustained{.name = name + ", sustained"};
    Table table{.columns = {{.name = "rows", .numeric = true},
                            {.name = "ours", .unit = "us", .numeric = true, .decimals = 1},
                            {.name = "vendor", .unit = "us", .numeric = true, .decimals = 1},
                            {.name = "burst", .numeric = true},
                            {.name = "products singly", .numeric = true},
                            {.name = "sustained", .numeric = true},
                            {.name = "of the limit", .numeric = true},
                            {.name = "bytes", .numeric = true},
                            {.name = "kernel", .numeric = true},
                            {.name = "dependent launch", .numeric = true},
                            {.name = "price of one order", .numeric = true},
                            {.name = "state"}}};
    for (const LinearRow& r : rows) {
      if (!r.stale) burst.points.push_back({static_cast<double>(r.tokens), r.speed_up()});
      if (!r.stale && r.sustained_us > 0)
        sustained.points.push_back({static_cast<double>(r.tokens), r.sustained_speed_up()});
      table.rows.push_back({r.tokens, r.us, r.vendor_us, Cell(r.speed_up(), times(r.speed_up())),
                            Cell(r.singles_speed_up, times(r.singles_speed_up)),
                            Cell(r.sustained_speed_up(), times(r.sustained_speed_up())),
                            Cell(std::max(r.limit_share, r.flop_share), limit(r)), Cell(r.bytes(), times(r.bytes())),
                            Cell(r.kernel(), times(r.kernel())), Cell(r.dependent(), times(r.dependent())),
                            Cell(r.order_price(), price(r)), r.stale ? "stale" : ""});
    }
    plot.series.push_back(std::move(burst));
    if (!sustained.points.empty()) plot.series.push_back(std::move(sustained));
    Facts facts;
    for (const LinearRow& r : rows) {
      if (r.resident_bytes > 0) {
        facts.facts.push_back({"resident", fixed(static_cast<double>(r.resident_bytes) / 1e6, 1) + " MB a layer"});
        break;
      }
    }
    if (const std::string cost = price_of_all(rows); !cost.empty())
      facts.facts.push_back({"price of one order of sums", cost});
    sections.push_back({name,
                        {facts, std::move(table),
                         Paragraph{"The gain is bytes times kernel: plain weights in the same kernels and launch mode "
                                   "against packed ones, and the vendor against plain weights. Dependent launch is the "
                                   "part of it that goes when every kernel waits for the one before."}}});
  });
  page.sections.push_back({"Speed", {std::move(plot)}});
  for (Section& s : sections) page.sections.push_back(std::move(s));
  return page;
}

}  // namespace tare
