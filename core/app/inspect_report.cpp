// The page of `tare inspect --html`.
#include <algorithm>
#include <charconv>

#include "core/app/inspect.hpp"
#include "core/base/progress.hpp"
#include "core/program/ledger_of.hpp"

namespace tare {
namespace {

using namespace report;

constexpr double kMiB = 1 << 20;

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}
std::string code_of(const std::string& layout) { return layout.substr(0, layout.find('/')); }

// The layer that a name speaks of ("model.layers.3.", "blk.3."), or -1.
int64_t layer_of(const std::string& name) {
  for (std::string_view mark : {"layers.", "layer.", "blk.", "h."}) {
    const size_t at = name.find(mark);
    if (at == std::string::npos || (at > 0 && name[at - 1] != '.')) continue;
    int64_t layer = -1;
    const char* begin = name.data() + at + mark.size();
    const auto [end, error] = std::from_chars(begin, name.data() + name.size(), layer);
    if (error == std::errc() && end != begin && layer >= 0 && layer < 100000) return layer;
  }
  return -1;
}
// What a matrix is for, from its name: enough for a plot.
size_t kind_of(const std::string& name) {
  for (const char* word : {"attn", "attention"})
    if (name.find(word) != std::string::npos) return 0;
  for (const char* word : {"mlp", "ffn", "expert", "intermediate", "output.dense"})
    if (name.find(word) != std::string::npos) return 1;
  return 2;
}

// Bins from the lowest to the highest exponent that occurs, as powers of two.
Histogram exponents(std::string title, std::string description, const ExponentCounts& counts, DType type) {
  size_t low = 0, high = 255;
  while (low < 255 && counts.of[low] == 0) ++low;
  while (high > low && counts.of[high] == 0) --high;
  const auto all = static_cast<double>(std::max<int64_t>(1, counts.total()));
  // A few stray ones far away must not squeeze the rest: what holds less than a millionth at the ends is left out.
  const auto few = [&](size_t e) { return static_cast<double>(counts.of[e]) / all < 1e-6; };
  while (low < high && few(low)) ++low;
  while (high > low && few(high)) --high;
  // Zeros, which stand alone at the end of the axis, are said in words.
  size_t next = 1;
  while (next < 255 && few(next)) ++next;
  if (low == 0 && next > 8 && next <= high) {
    description += text(description.empty() ? "" : " ",
                        "Zeros are not shown: ", percent_text(static_cast<double>(counts.of[0]) / all, 3), ".");
    low = next;
  }
  const auto best_7 = static_cast<size_t>(counts.best(7)), best_15 = static_cast<size_t>(counts.best(15));
  Histogram out{.title = std::move(title),
                .description = std::move(description),
                .x = {.title = "power of two", .whole = true},
                .y = {.title = "share", .unit = "%"},
                .first = static_cast<double>(low) - exponent_bias(type) - 0.5,
                .groups = {"best 7", "best 15", "others"}};
  for (size_t e = low; e <= high; ++e) {
    out.counts.push_back(100 * static_cast<double>(counts.of[e]) / all);
    out.group_of.push_back(e >= best_7 && e < best_7 + 7 ? 0 : e >= best_15 && e < best_15 + 15 ? 1 : 2);
  }
  return out;
}

Section sizes(const Findings& f) {
  BarPlot plot{.title = "Bytes of all tensors",
               .description =
                   "Without losing a bit. A layout's bar has its matrices in that layout and everything else "
                   "plain, whatever the model's plan would choose.",
               .y = {.title = "of plain", .unit = "%"},
               .categories = {"plain"},
               .series = {{.name = "bytes", .values = {100}}}};
  Table table{.columns = {{.name = "how"},
                          {.name = "bytes", .numeric = true},
                          {.name = "of plain", .unit = "%", .numeric = true, .decimals = 2},
                          {.name = "matrices", .numeric = true},
                          {.name = "of them fall back", .numeric = true}}};
  const auto add = [&](const std::string& how, int64_t bytes, Cell taken, Cell fell_back) {
    const double percent = 100 * share(bytes, f.plain_bytes);
    if (how != "plain") plot.categories.push_back(how), plot.series[0].values.push_back(percent);
    table.rows.push_back(
        {how, {static_cast<double>(bytes), human_bytes(bytes)}, percent, std::move(taken), std::move(fell_back)});
  };
  add("plain", f.plain_bytes, "", "");
  for (const auto& [layout, totals] : f.layouts)
    add("served as " + code_of(layout), totals.bytes, totals.taken, totals.fell_back);
  if (f.bundle_bytes > 0) add("in this bundle", f.bundle_bytes, "", "");
  add("limit of the entropy", f.least_bytes, "", "");
  return {"What can be saved", {std::move(plot), std::move(table)}};
}

Section layers(const Findings& f) {
  int64_t last = -1;
  for (const TensorFindings& t : f.tensors) last = std::max(last, layer_of(t.tensor->name));
  std::vector<BarPlot::Series> series{{.name = "attention"}, {.name = "MLP"}, {.name = "others"}};
  const auto rows = static_cast<size_t>(last + 2);  // the last one: outside of layers
  for (auto& s : series) s.values.assign(rows, 0);
  LinePlot entropy{.title = "Entropy by layer",
                   .description = "Bits of the exponent, mean over a layer's BF16 matrices by their size.",
                   .x = {.title = "layer", .whole = true},
                   .y = {.title = "entropy", .unit = "bits", .from = 2.0},
                   .series = {{.name = "attention"}, {.name = "MLP"}}};
  std::vector<std::array<double, 2>> bits(rows), numbers(rows);
  for (const TensorFindings& t : f.tensors) {
    const int64_t layer = layer_of(t.tensor->name);
    const size_t row = layer < 0 ? rows - 1 : static_cast<size_t>(layer), kind = kind_of(t.tensor->name);
    const int64_t now = f.bundle_bytes > 0 ? t.tensor->stored_bytes : t.least_bytes();
    series[kind].values[row] += static_cast<double>(t.tensor->bytes() - now) / kMiB;
    if (kind > 1 || layer < 0 || !t.is_measured || !t.is_matrix() || t.tensor->dtype != DType::bf16) continue;
    const auto n = static_cast<double>(t.counts.total());
    bits[row][kind] += n * t.counts.entropy(), numbers[row][kind] += n;
  }
  double lowest = 2.5;
  for (size_t row = 0; row + 1 < rows; ++row)
    for (size_t kind = 0; kind < 2; ++kind)
      if (numbers[row][kind] > 0) {
        const double mean = bits[row][kind] / numbers[row][kind];
        lowest = std::min(lowest, mean);
        entropy.series[kind].points.push_back({static_cast<double>(row), mean});
      }
  if (lowest < 2) entropy.y.from.reset();
  std::vector<std::string> names;
  for (int64_t i = 0; i <= last; ++i) names.push_back(std::to_string(i));
  names.push_back("rest");
  BarPlot saved{.title = "Saved by layer",
                .description = f.bundle_bytes > 0
                                   ? "What this bundle saves against plain tensors; \"rest\" is what lies in no layer."
                                   : "What a code at the limit of the entropy would save; \"rest\" is what "
                                     "lies in no layer (embeddings, head).",
                .category_title = "layer",
                .y = {.title = "saved", .unit = "MiB"},
                .categories = std::move(names),
                .series = std::move(series),
                .stacked = true};
  return {"Layers", {std::move(saved), std::move(entropy)}};
}

Section outliers(const Findings& f) {
  std::vector<const TensorFindings*> found;
  for (const TensorFindings& t : f.tensors)
    if (t.is_outlier()) found.push_back(&t);
  std::stable_sort(found.begin(), found.end(),
                   [](auto* a, auto* b) { return a->counts.outside(7) > b->counts.outside(7); });
  Section out{"Outlier tensors", {}};
  if (found.empty()) {
    out.blocks.push_back(Paragraph{"None: every matrix has at least 90 % of its numbers in 7 consecutive exponents."});
    return out;
  }
  out.blocks.push_back(
      Paragraph{"Matrices with more than 10 % of their numbers outside the best 7 consecutive exponents. A code of 7 "
                "exponents does not "
                "pay there, so the denser layouts fall back by themselves; one of 16 may still."});
  constexpr size_t kMostPlots = 6;
  for (size_t i = 0; i < std::min(kMostPlots, found.size()); ++i)
    out.blocks.push_back(exponents(found[i]->tensor->name,
                                   text(percent_text(found[i]->counts.outside(7), 1), " outside the best 7, ",
                                        percent_text(found[i]->counts.outside(15), 2), " outside the best 15."),
                                   found[i]->counts, *found[i]->tensor->dtype));
  if (found.size() > kMostPlots)
    out.blocks.push_back(Paragraph{text("And ", found.size() - kMostPlots, " more, in the table of tensors.")});
  return out;
}

Section notes(const Findings& f) {
  Table table{.columns = {{.name = "matrix"}, {.name = "layout"}, {.name = "what it does"}}};
  for (const TensorFindings& t : f.tensors)
    for (const auto& laid : t.layouts)
      if (laid.note.find(": ") != std::string::npos)
        table.rows.push_back({t.tensor->name, code_of(laid.layout), laid.note});
  if (table.rows.empty())
    return {"Layouts that fall back", {Paragraph{"None: every layout pays on every matrix that it takes."}}};
  return {"Layouts that fall back", {std::move(table)}};
}

Section every_tensor(const Findings& f) {
  Table table{.columns = {{.name = "tensor"},
                          {.name = "type"},
                          {.name = "shape"},
                          {.name = "bytes", .numeric = true},
                          {.name = "entropy", .unit = "bits", .numeric = true, .decimals = 3},
                          {.name = "outside 7", .unit = "%", .numeric = true, .decimals = 2},
                          {.name = "outside 15", .unit = "%", .numeric = true, .decimals = 3},
                          {.name = f.bundle_bytes > 0 ? "saved" : "would save", .numeric = true},
                          {.name = "saved", .unit = "%", .numeric = true, .decimals = 1}}};
  std::vector<std::string> layouts;
  for (const auto& [layout, totals] : f.layouts) {
    layouts.push_back(layout);
    table.columns.push_back({.name = code_of(layout), .unit = "bits a number", .numeric = true, .decimals = 2});
  }
  if (f.bundle_bytes > 0) table.columns.push_back({.name = "codec"});
  for (const TensorFindings& t : f.tensors) {
    std::string shape;
    for (int64_t size : t.tensor->shape) shape += (shape.empty() ? "" : "\u00a0\u00d7\u00a0") + std::to_string(size);
    const int64_t now = f.bundle_bytes > 0 ? t.tensor->stored_bytes : t.least_bytes(), saved = t.tensor->bytes() - now;
    const auto number = [&](double value) { return t.is_measured ? Cell(value) : Cell(""); };
    std::vector<Cell> row{t.tensor->name,
                          t.tensor->stored,
                          shape,
                          {static_cast<double>(t.tensor->bytes()), human_bytes(t.tensor->bytes())},
                          number(t.counts.entropy()),
                          number(100 * t.counts.outside(7)),
                          number(100 * t.counts.outside(15)),
                          {static_cast<double>(saved), saved < 0 ? "-" + human_bytes(-saved) : human_bytes(saved)},
                          100 * share(saved, t.tensor->bytes())};
    for (const std::string& layout : layouts) {
      const auto laid =
          std::find_if(t.layouts.begin(), t.layouts.end(), [&](const auto& l) { return l.layout == layout; });
      row.push_back(laid == t.layouts.end() ? Cell("") : Cell(8 * share(laid->bytes, t.tensor->elements())));
    }
    if (f.bundle_bytes > 0) row.push_back(t.codec + (t.note.empty() ? "" : ", " + t.note));
    table.rows.push_back(std::move(row));
  }
  return {"Every tensor", {std::move(table)}};
}

}  // namespace

report::Report inspect_report(const CheckpointDescription& d, const Findings& f) {
  char entropy[32];
  std::snprintf(entropy, sizeof entropy, "%.3f bits", f.entropy);
  Report out{.title = "Weights of " + d.name,
             .subtitle = d.kind + (d.architecture.empty() ? "" : ", " + d.architecture) + ": " + d.path,
             .facts = {{"parameters", grouped(d.parameters)},
                       {"tensors", std::to_string(d.tensors.size())},
                       {"stored", human_bytes(d.stored_bytes)},
                       {"as presented", human_bytes(d.presented_bytes)}}};
  if (f.num_matrices > 0) {
    out.facts.push_back({"exponent entropy, mean", entropy});
    out.facts.push_back({"outside the best 7 exponents", percent_text(f.outside_7, 2)});
    out.facts.push_back({"outside the best 15", percent_text(f.outside_15, 3)});
  }
  if (f.bundle_bytes > 0)
    out.facts.push_back({"this bundle", percent_text(share(f.bundle_bytes, f.plain_bytes), 2) + " of plain"});
  out.sections.push_back(sizes(f));
  if (!d.notes.empty()) {
    Section section{"Notes", {}};
    for (const std::string& note : d.notes) section.blocks.push_back(Paragraph{note});
    out.sections.push_back(std::move(section));
  }
  if (f.num_matrices > 0) {
    const std::string title = "Exponents of all BF16 matrices";
    Histogram linear = exponents(title, "A lossless code lives on the few exponents that hold nearly all numbers.",
                                 f.matrices, DType::bf16);
    Histogram logarithmic = linear;
    logarithmic.title = title + ", logarithmic";
    logarithmic.description = "The same: how quickly the tails fall says how many escapes a fixed window needs.";
    logarithmic.y.scale = report::Scale::log10;
    out.sections.push_back({"Exponents", {std::move(linear), std::move(logarithmic)}});
  }
  out.sections.push_back(layers(f));
  out.sections.push_back(outliers(f));
  out.sections.push_back(notes(f));
  out.sections.push_back(every_tensor(f));
  return out;
}

}  // namespace tare
