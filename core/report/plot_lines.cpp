#include "core/report/frame.hpp"
#include "core/report/number.hpp"
#include "core/report/plot.hpp"

namespace tare::report {

std::string svg(const LinePlot& plot, const std::string& id) {
  Extent xs(plot.x), ys(plot.y);
  std::vector<LegendEntry> legend;
  for (const LinePlot::Series& series : plot.series) {
    legend.push_back({series.name, colour(legend.size()), 'l', legend.size()});
    for (const Point& p : series.points)
      if (is_drawn(p.x, plot.x) && is_drawn(p.y, plot.y)) xs.add(p.x), ys.add(p.y);
  }
  const bool empty = xs.empty();
  for (const Level& level : plot.levels) ys.add(level.value);
  // Quantities begin at 0 unless the axis says otherwise: half a plot must not hide in the frame.
  if (plot.y.scale == Scale::linear && !plot.y.from && ys.low() > 0) ys.add(0);
  Ruler x(plot.x, xs, 8), y(plot.y, ys, 6);
  Frame frame(plot.title, plot.description, id);
  const Box box = frame.lay_out(legend, y, plot.y, 46);
  x.place(box.left, box.right);
  y.place(box.bottom, box.top);
  frame.y_axis(y, plot.y, box);
  frame.x_axis(x, plot.x, box);
  for (const Level& level : plot.levels)
    if (is_drawn(level.value, plot.y)) frame.level(level, y.at(level.value), box);
  if (empty) frame.no_data(box);
  for (size_t s = 0; s < plot.series.size(); ++s) {
    std::string path;
    bool pen_down = false;
    for (const Point& p : plot.series[s].points) {
      if (!is_drawn(p.x, plot.x) || !is_drawn(p.y, plot.y)) {
        pen_down = false;
        continue;
      }
      path += (pen_down ? "L" : "M") + coordinate(x.at(p.x)) + " " + coordinate(y.at(p.y)) + " ";
      pen_down = true;
    }
    if (path.empty()) continue;
    frame.add("<path d=\"" + path + "\" class=\"curve " + colour(s) + "\"/>");
    for (const Point& p : plot.series[s].points)
      if (is_drawn(p.x, plot.x) && is_drawn(p.y, plot.y))
        frame.mark(x.at(p.x), y.at(p.y), s,
                   plot.series[s].name + ": " + value_with_unit(p.y, plot.y.unit) + " at " +
                       value_with_unit(p.x, plot.x.unit));
  }
  return frame.finish();
}

}  // namespace tare::report
