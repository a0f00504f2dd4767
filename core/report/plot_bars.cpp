#include <algorithm>

#include "core/report/frame.hpp"
#include "core/report/number.hpp"
#include "core/report/plot.hpp"

namespace tare::report {
namespace {

void bar(Frame& frame, double left, double right, double y1, double y2, const std::string& class_name,
         const std::string& hint) {
  const double top = std::min(y1, y2), height = std::abs(y2 - y1);
  frame.add("<rect x=\"" + coordinate(left) + "\" y=\"" + coordinate(top) + "\" width=\"" + coordinate(right - left) +
            "\" height=\"" + coordinate(height) + "\" class=\"f " + class_name + "\"><title>" + escaped(hint) +
            "</title></rect>");
}

double value_of(const std::vector<double>& values, size_t i) { return i < values.size() ? values[i] : std::nan(""); }

struct Stack {  // positive parts grow up, negative ones down
  double up = 0, down = 0;
  std::pair<double, double> add(double v) {
    double& end = v < 0 ? down : up;
    end += v;
    return {end - v, end};
  }
};

// Labels that fit: level when they are short, else slanted, else only every n-th.
constexpr double kWidestLabel = 185;
struct Labels {
  bool slanted = false;
  size_t every = 1;
  double below = 46;
};
Labels fit(const BarPlot& plot) {
  double widest = 0;
  for (const std::string& c : plot.categories) widest = std::max(widest, text_width(c));
  const double room = (kWidth - 90) / static_cast<double>(std::max<size_t>(1, plot.categories.size()));
  Labels out;
  if (widest + 8 <= room) return out;
  if (widest > 40) {
    out.slanted = true;  // 40 degrees: 0.64 of the length goes down
    out.below = 30 + std::min(kWidestLabel, widest) * 0.64 + (plot.category_title.empty() ? 0 : 14);
  }
  out.every = static_cast<size_t>(std::ceil((out.slanted ? 16 : widest + 8) / room));
  return out;
}
// Names of tensors tell most at their ends.
std::string shortened(const std::string& words) {
  if (text_width(words) <= kWidestLabel) return words;
  const auto inside = [&](size_t i) { return (words[i] & 0xc0) == 0x80; };
  size_t begin = 6, end = words.size() - 20;
  while (begin > 0 && inside(begin)) --begin;
  while (end < words.size() && inside(end)) ++end;
  return words.substr(0, begin) + "\u2026" + words.substr(end);
}

}  // namespace

std::string svg(const BarPlot& plot, const std::string& id) {
  const size_t categories = plot.categories.size();
  Extent ys(plot.y);
  std::vector<LegendEntry> legend;
  for (const auto& series : plot.series) {
    legend.push_back({series.name, colour(legend.size()), 's', 0});
    if (!plot.stacked)
      for (const auto* values : {&series.values, &series.low, &series.high})
        for (size_t i = 0; i < std::min(categories, values->size()); ++i) ys.add((*values)[i]);
  }
  if (plot.stacked)
    for (size_t i = 0; i < categories; ++i) {
      Stack stack;
      bool any = false;
      for (const auto& series : plot.series)
        if (const double v = value_of(series.values, i); is_drawn(v, plot.y)) stack.add(v), any = true;
      if (any) ys.add(stack.up), ys.add(stack.down);
    }
  const bool empty = ys.empty();
  for (const Level& level : plot.levels) ys.add(level.value);
  if (plot.y.scale == Scale::linear && !plot.y.from) ys.add(0);  // a bar's length is its value
  Ruler y(plot.y, ys, 6);
  const Labels labels = fit(plot);
  Frame frame(plot.title, plot.description, id);
  const Box box = frame.lay_out(legend, y, plot.y, labels.below);
  y.place(box.bottom, box.top);
  frame.y_axis(y, plot.y, box);
  const double room = (box.right - box.left) / static_cast<double>(std::max<size_t>(1, categories));
  const double ground = y.at(plot.y.scale == Scale::linear ? std::clamp(0.0, y.from(), y.to()) : y.from());
  const double gap = room * (room < 4 ? 0.05 : 0.12);
  const bool logarithmic = plot.y.scale != Scale::linear;
  for (size_t i = 0; i < categories; ++i) {
    const double left = box.left + room * static_cast<double>(i) + gap, right = left + room - 2 * gap;
    const double each = (right - left) / static_cast<double>(std::max<size_t>(1, plot.series.size()));
    Stack stack;
    for (size_t s = 0; s < plot.series.size(); ++s) {
      const auto& series = plot.series[s];
      const double v = value_of(series.values, i);
      if (!is_drawn(v, plot.y) || (logarithmic && v <= y.from())) continue;
      const std::string hint =
          (series.name.empty() ? "" : series.name + ", ") + plot.categories[i] + ": " + value_with_unit(v, plot.y.unit);
      if (plot.stacked) {
        const auto [a, b] = stack.add(v);
        bar(frame, left, right, is_drawn(a, plot.y) ? y.at(a) : ground, y.at(b), colour(s), hint);
        continue;
      }
      const double x = left + each * static_cast<double>(s);
      bar(frame, x, x + each * (plot.series.size() > 1 ? 0.94 : 1), ground, y.at(v), colour(s), hint);
      const double low = value_of(series.low, i), high = value_of(series.high, i), middle = x + each / 2;
      if (is_drawn(low, plot.y) && is_drawn(high, plot.y)) {
        const double cap = std::min(4.0, each / 3);
        frame.line(middle, y.at(low), middle, y.at(high), "whisker");
        frame.line(middle - cap, y.at(low), middle + cap, y.at(low), "whisker");
        frame.line(middle - cap, y.at(high), middle + cap, y.at(high), "whisker");
      }
    }
    if (i % labels.every != 0) continue;
    const double middle = (left + right) / 2;
    if (labels.slanted)
      frame.text(middle + 4, box.bottom + 14, shortened(plot.categories[i]), "tick end",
                 " transform=\"rotate(-40 " + coordinate(middle + 4) + " " + coordinate(box.bottom + 14) + ")\"");
    else
      frame.text(middle, box.bottom + 17, plot.categories[i], "tick mid");
  }
  for (const Level& level : plot.levels)
    if (is_drawn(level.value, plot.y)) frame.level(level, y.at(level.value), box);
  if (y.from() < 0 && y.to() > 0) frame.line(box.left, ground, box.right, ground, "axis");
  if (empty) frame.no_data(box);
  frame.x_title(plot.category_title, box);
  return frame.finish();
}

std::string svg(const Histogram& plot, const std::string& id) {
  Extent xs(plot.x), ys(plot.y);
  const double width = plot.width > 0 && std::isfinite(plot.width) ? plot.width : 1;
  const auto edge = [&](size_t i) { return plot.first + width * static_cast<double>(i); };
  for (size_t i = 0; i < plot.counts.size(); ++i) ys.add(plot.counts[i]);
  const bool empty = ys.empty();
  if (!empty) xs.add(edge(0)), xs.add(edge(plot.counts.size()));
  if (plot.y.scale == Scale::linear && !plot.y.from) ys.add(0);
  Axis x_axis = plot.x;
  // Bins fill the frame from side to side.
  if (!empty && !x_axis.from) x_axis.from = edge(0);
  if (!empty && !x_axis.to) x_axis.to = edge(plot.counts.size());
  Ruler x(x_axis, xs, 10), y(plot.y, ys, 6);
  std::vector<LegendEntry> legend;
  for (const std::string& group : plot.groups) legend.push_back({group, colour(legend.size()), 's', 0});
  Frame frame(plot.title, plot.description, id);
  const Box box = frame.lay_out(legend, y, plot.y, 46);
  x.place(box.left, box.right);
  y.place(box.bottom, box.top);
  frame.y_axis(y, plot.y, box);
  frame.x_axis(x, plot.x, box);
  const double ground = y.at(plot.y.scale == Scale::linear ? std::clamp(0.0, y.from(), y.to()) : y.from());
  for (size_t i = 0; i < plot.counts.size(); ++i) {
    if (!is_drawn(plot.counts[i], plot.y) || plot.counts[i] == 0) continue;
    if (plot.y.scale != Scale::linear && plot.counts[i] <= y.from()) continue;
    const size_t group = i < plot.group_of.size() ? plot.group_of[i] : 0;
    const double left = x.at(edge(i)), right = x.at(edge(i + 1)), gap = std::min(1.0, (right - left) * 0.06);
    const std::string hint = number(edge(i) + (width == 1 && edge(i) != std::floor(edge(i)) ? 0.5 : 0)) +
                             (width == 1 ? "" : " to " + number(edge(i + 1))) + ": " +
                             value_with_unit(plot.counts[i], plot.y.unit);
    bar(frame, left + gap, right - gap, ground, y.at(plot.counts[i]), colour(group), hint);
  }
  if (empty) frame.no_data(box);
  return frame.finish();
}

}  // namespace tare::report
