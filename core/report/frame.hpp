// What all plots share: the canvas with its texts, axes with ticks, the legend, levels. Belongs to one thread.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/report/report.hpp"

namespace tare::report {

constexpr double kWidth = 860, kHeight = 340;  // the SVG's own units; it scales with the page
constexpr size_t kColours = 8;                 // classes c0 .. c7 of the page's style; more series begin again

// Finite, and positive where the axis is logarithmic.
bool is_drawn(double value, const Axis& axis) noexcept;

// The extent of some values along one axis.
class Extent {
 public:
  explicit Extent(const Axis& axis) : axis_(axis) {}
  void add(double value);
  bool empty() const noexcept { return empty_; }
  double low() const noexcept { return low_; }
  double high() const noexcept { return high_; }

 private:
  const Axis& axis_;
  bool empty_ = true;
  double low_ = 0, high_ = 0;
};

// Values of one axis to places between `begin` and `end`.
class Ruler {
 public:
  // With room for round ticks at both ends unless the axis says from where to where.
  Ruler(const Axis& axis, const Extent& extent, int wanted_ticks);
  void place(double begin, double end) { begin_ = begin, end_ = end; }
  double at(double value) const noexcept;
  double from() const noexcept { return from_; }
  double to() const noexcept { return to_; }
  const std::vector<double>& ticks() const noexcept { return ticks_; }
  std::string label(size_t tick) const;

 private:
  Scale scale_;
  double from_ = 0, to_ = 1, begin_ = 0, end_ = 1;
  std::vector<double> ticks_;
};

struct Box {
  double left = 0, top = 0, right = kWidth, bottom = kHeight;
};
struct LegendEntry {
  std::string name, class_name;
  char mark = 's';  // 's' a square of colour, 'l' a line with the series' mark, 'd' a dashed line
  size_t series = 0;
};

class Frame {
 public:
  Frame(std::string_view title, std::string_view description, const std::string& id);
  // Legend on top (left out with one entry or none), then the box that is left for the data.
  Box lay_out(std::span<const LegendEntry> legend, const Ruler& y, const Axis& y_axis, double below);
  void y_axis(const Ruler& y, const Axis& axis, const Box& box);
  void x_axis(const Ruler& x, const Axis& axis, const Box& box);
  void x_title(const std::string& title, const Box& box);
  void level(const Level& level, double y, const Box& box);
  void no_data(const Box& box);
  void add(const std::string& element) { out_ += element + '\n'; }
  void text(double x, double y, std::string_view words, std::string_view class_name, std::string_view more = "");
  void line(double x1, double y1, double x2, double y2, std::string_view class_name);
  // Round the point, a shape of its own for each series; `hint` is shown under the pointer.
  void mark(double x, double y, size_t series, std::string_view hint);
  std::string finish();

 private:
  std::string out_;
};

std::string with_unit(std::string_view title, std::string_view unit);  // "time (ms)"
std::string value_with_unit(double value, std::string_view unit);      // "1.5 ms"
std::string colour(size_t series);                                     // "c3"
double text_width(std::string_view words);                             // about, in the SVG's units

}  // namespace tare::report
