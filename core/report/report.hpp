// A report as plain values, and the one page that shows it: HTML that stands alone (no requests, light and dark, tables
// that sort, plots as SVG with a text for those who cannot see them). Equal values give equal bytes: neither clock,
// locale nor address leaks into the page. All text is escaped. [any thread]
#pragma once
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/api/status.hpp"

namespace tare::report {

struct Fact {
  std::string name = {}, value = {};
};
struct Facts {
  std::vector<Fact> facts = {};
};
struct Paragraph {
  std::string text = {};
};
// Letters as they are, in a frame: a command, a listing.
struct Listing {
  std::string text = {};
};

// A text or a number; numbers that are not finite are shown as a dash and sort last.
class Cell {
 public:
  Cell(std::string text) : text_(std::move(text)) {}
  Cell(const char* text) : text_(text) {}
  template <class N>
    requires std::is_arithmetic_v<N>
  Cell(N value) : value_(static_cast<double>(value)) {}
  // A number that is shown as `shown` ("1.2 GiB") and sorts by value.
  Cell(double value, std::string shown) : text_(std::move(shown)), value_(value) {}
  const std::string& text() const noexcept { return text_; }
  const std::optional<double>& value() const noexcept { return value_; }

 private:
  std::string text_;
  std::optional<double> value_;
};
struct Column {
  std::string name = {}, unit = {};
  bool numeric = false;  // right-aligned
  int decimals = -1;     // of numbers without a text of their own; -1: four significant digits, integers in full
};
// Short rows are filled with empty cells; cells beyond the columns are left out.
struct Table {
  std::string title = {};
  std::vector<Column> columns = {};
  std::vector<std::vector<Cell>> rows = {};
};

enum class Scale : unsigned char { linear, log2, log10 };
struct Axis {
  std::string title = {}, unit = {};
  Scale scale = Scale::linear;               // of a logarithmic axis, values of 0 and less are left out
  std::optional<double> from = {}, to = {};  // absent: chosen from the data, round
  bool whole = false;                        // ticks at whole numbers only: layers, exponents
};
// A dashed line across the plot: a roofline, a limit.
struct Level {
  std::string name = {};
  double value = 0;
};
struct Point {
  double x = 0, y = 0;  // a y that is not finite leaves a gap
};
struct LinePlot {
  struct Series {
    std::string name = {};
    std::vector<Point> points = {};
  };
  std::string title = {}, description = {};
  Axis x = {}, y = {};
  std::vector<Series> series = {};
  std::vector<Level> levels = {};
};
struct BarPlot {
  struct Series {
    std::string name = {};
    std::vector<double> values = {};          // one a category
    std::vector<double> low = {}, high = {};  // whiskers (spread), or empty; not drawn when stacked
  };
  std::string title = {}, description = {};
  std::string category_title = {};  // what the categories are: "layer"
  Axis y = {};
  std::vector<std::string> categories = {};
  std::vector<Series> series = {};
  std::vector<Level> levels = {};
  bool stacked = false;  // else in groups, side by side
};
struct Histogram {
  std::string title = {}, description = {};
  Axis x = {}, y = {};
  double first = 0, width = 1;  // bin i is [first + i * width, first + (i + 1) * width)
  std::vector<double> counts = {};
  std::vector<std::string> groups = {};  // names of colours, or empty: one colour
  std::vector<size_t> group_of = {};     // one a bin, or empty
};

using Block = std::variant<Paragraph, Listing, Facts, Table, LinePlot, BarPlot, Histogram>;
struct Section {
  std::string title = {};
  std::vector<Block> blocks = {};
};
struct Report {
  std::string title = {}, subtitle = {};
  std::vector<Fact> facts = {};  // at the top
  std::vector<Section> sections = {};
};

std::string to_html(const Report& report);
// Whole or not at all (write_file_atomically).
Status write_html(const Report& report, const std::string& path);

}  // namespace tare::report
