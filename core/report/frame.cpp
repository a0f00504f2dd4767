#include "core/report/frame.hpp"

#include <algorithm>
#include <cmath>

#include "core/report/number.hpp"

namespace tare::report {
namespace {

double warp(double value, Scale scale) { return scale == Scale::linear ? value : std::log(value); }
std::string attribute(std::string_view name, double value) {
  return " " + std::string(name) + "=\"" + coordinate(value) + "\"";
}

}  // namespace

bool is_drawn(double value, const Axis& axis) noexcept {
  return std::isfinite(value) && std::abs(value) < 1e100 && (axis.scale == Scale::linear || value > 1e-100);
}

void Extent::add(double value) {
  if (!is_drawn(value, axis_)) return;
  low_ = empty_ ? value : std::min(low_, value);
  high_ = empty_ ? value : std::max(high_, value);
  empty_ = false;
}

Ruler::Ruler(const Axis& axis, const Extent& extent, int wanted_ticks) : scale_(axis.scale) {
  const bool logarithmic = scale_ != Scale::linear;
  double low = extent.empty() ? (logarithmic ? 1 : 0) : extent.low();
  double high = extent.empty() ? (logarithmic ? 10 : 1) : extent.high();
  if (axis.from && is_drawn(*axis.from, axis)) low = *axis.from;
  if (axis.to && is_drawn(*axis.to, axis)) high = *axis.to;
  if (low > high) std::swap(low, high);
  if (low == high && !logarithmic) {
    const double room = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= low >= 0 && low - room < 0 ? low : room;
    high += room;
  }
  ticks_ = logarithmic ? log_ticks(low, high, scale_, wanted_ticks) : nice_ticks(low, high, wanted_ticks);
  if (axis.whole) std::erase_if(ticks_, [](double t) { return std::abs(t - std::round(t)) > 1e-9; });
  if (axis.from && is_drawn(*axis.from, axis)) std::erase_if(ticks_, [&](double t) { return t < low - 1e-12; });
  if (axis.to && is_drawn(*axis.to, axis))
    std::erase_if(ticks_, [&](double t) { return t > high + std::abs(high) * 1e-12; });
  from_ = axis.from || ticks_.empty() ? low : std::min(low, ticks_.front());
  to_ = axis.to || ticks_.empty() ? high : std::max(high, ticks_.back());
  if (!(from_ < to_)) to_ = logarithmic ? from_ * 10 : from_ + 1;
}
double Ruler::at(double value) const noexcept {
  const double a = warp(from_, scale_), b = warp(to_, scale_);
  return begin_ + (end_ - begin_) * std::clamp((warp(value, scale_) - a) / (b - a), -0.02, 1.02);
}
std::string Ruler::label(size_t tick) const {
  const double step = scale_ == Scale::linear && ticks_.size() > 1 ? ticks_[1] - ticks_[0] : ticks_[tick];
  return tick_label(ticks_[tick], step);
}

std::string with_unit(std::string_view title, std::string_view unit) {
  if (unit.empty()) return std::string(title);
  return title.empty() ? std::string(unit) : std::string(title) + " (" + std::string(unit) + ")";
}
std::string value_with_unit(double value, std::string_view unit) {
  return number(value) + (unit.empty() ? "" : " " + std::string(unit));
}
std::string colour(size_t series) { return "c" + std::to_string(series % kColours); }
double text_width(std::string_view words) {
  // Bytes that continue a UTF-8 letter take no room.
  return 6.7 *
         static_cast<double>(std::count_if(words.begin(), words.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

Frame::Frame(std::string_view title, std::string_view description, const std::string& id) {
  out_ = "<svg viewBox=\"0 0 " + coordinate(kWidth) + " " + coordinate(kHeight) + "\" role=\"img\" aria-labelledby=\"" +
         id + "-t " + id + "-d\">\n<title id=\"" + id + "-t\">" + escaped(title) + "</title>\n<desc id=\"" + id +
         "-d\">" + escaped(description) + "</desc>\n";
}

void Frame::text(double x, double y, std::string_view words, std::string_view class_name, std::string_view more) {
  out_ += "<text" + attribute("x", x) + attribute("y", y) + " class=\"" + std::string(class_name) + "\"" +
          std::string(more) + ">" + escaped(words) + "</text>\n";
}
void Frame::line(double x1, double y1, double x2, double y2, std::string_view class_name) {
  out_ += "<line" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) + attribute("y2", y2) +
          " class=\"" + std::string(class_name) + "\"/>\n";
}

Box Frame::lay_out(std::span<const LegendEntry> legend, const Ruler& y, const Axis& y_axis, double below) {
  double widest = 0;
  for (size_t i = 0; i < y.ticks().size(); ++i) widest = std::max(widest, text_width(y.label(i)));
  Box box;
  box.left = widest + 16 + (with_unit(y_axis.title, y_axis.unit).empty() ? 0 : 18);
  box.right = kWidth - 14;
  box.bottom = kHeight - below;
  double x = box.left, row = 14;
  if (legend.size() > 1)
    for (const LegendEntry& entry : legend) {
      const double width = 26 + text_width(entry.name) + 18;
      if (x > box.left && x + width > box.right) x = box.left, row += 18;
      if (entry.mark == 's')
        add("<rect" + attribute("x", x) + attribute("y", row - 9) + " width=\"14\" height=\"10\" class=\"f " +
            entry.class_name + "\"/>");
      else
        line(x, row - 4, x + 20, row - 4, (entry.mark == 'd' ? "level " : "curve ") + entry.class_name);
      if (entry.mark == 'l') mark(x + 10, row - 4, entry.series, "");
      text(x + 26, row, entry.name, "label");
      x += width;
    }
  box.top = legend.size() > 1 ? row + 14 : 14;
  return box;
}

void Frame::y_axis(const Ruler& y, const Axis& axis, const Box& box) {
  for (size_t i = 0; i < y.ticks().size(); ++i) {
    const double place = y.at(y.ticks()[i]);
    line(box.left, place, box.right, place, "grid");
    text(box.left - 8, place + 4, y.label(i), "tick end");
  }
  const std::string title = with_unit(axis.title, axis.unit);
  const double middle = (box.top + box.bottom) / 2;
  if (!title.empty()) text(12, middle, title, "label mid", " transform=\"rotate(-90 12 " + coordinate(middle) + ")\"");
  line(box.left, box.top, box.left, box.bottom, "axis");
}
void Frame::x_axis(const Ruler& x, const Axis& axis, const Box& box) {
  for (size_t i = 0; i < x.ticks().size(); ++i) {
    const double place = x.at(x.ticks()[i]);
    line(place, box.bottom, place, box.bottom + 5, "axis");
    text(place, box.bottom + 19, x.label(i), "tick mid");
  }
  x_title(with_unit(axis.title, axis.unit), box);
}
void Frame::x_title(const std::string& title, const Box& box) {
  line(box.left, box.bottom, box.right, box.bottom, "axis");
  if (!title.empty()) text((box.left + box.right) / 2, kHeight - 6, title, "label mid");
}
void Frame::level(const Level& level, double y, const Box& box) {
  line(box.left, y, box.right, y, "level");
  text(box.right - 4, y - 5, level.name, "tick end");
}
void Frame::no_data(const Box& box) {
  text((box.left + box.right) / 2, (box.top + box.bottom) / 2, "no data", "label mid");
}

void Frame::mark(double x, double y, size_t series, std::string_view hint) {
  const std::string begin = "class=\"dot " + colour(series) + "\"";
  const std::string end = hint.empty() ? "/>" : "><title>" + escaped(hint) + "</title></";
  const auto shape = [&](const std::string& name, const std::string& geometry) {
    add("<" + name + " " + begin + geometry + end + (hint.empty() ? "" : name + ">"));
  };
  const auto at = [&](double dx, double dy) { return coordinate(x + dx) + "," + coordinate(y + dy) + " "; };
  switch (series % 4) {
    case 0:
      return shape("circle", attribute("cx", x) + attribute("cy", y) + " r=\"3.6\"");
    case 1:
      return shape("rect", attribute("x", x - 3.3) + attribute("y", y - 3.3) + " width=\"6.6\" height=\"6.6\"");
    case 2:
      return shape("polygon", " points=\"" + at(0, -4.4) + at(4.2, 3.4) + at(-4.2, 3.4) + "\"");
    default:
      return shape("polygon", " points=\"" + at(0, -4.7) + at(4.7, 0) + at(0, 4.7) + at(-4.7, 0) + "\"");
  }
}

std::string Frame::finish() { return std::move(out_) + "</svg>\n"; }

}  // namespace tare::report
