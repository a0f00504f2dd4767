#include <doctest/doctest.h>

#include <cstdlib>

#include "core/report/plot.hpp"
#include "tests/unit/report/page.hpp"

using namespace tare::report;
using namespace tare::report_test;

namespace {

// The numbers of every attribute of that name, in order.
std::vector<double> all(const std::string& svg, const std::string& attribute, const std::string& element = "") {
  std::vector<double> out;
  const std::string wanted = " " + attribute + "=\"";
  for (size_t at = svg.find(wanted); at != std::string::npos; at = svg.find(wanted, at + 1)) {
    const size_t open = svg.rfind('<', at);
    if (element.empty() || svg.compare(open + 1, element.size(), element) == 0)
      out.push_back(std::strtod(svg.c_str() + at + wanted.size(), nullptr));
  }
  return out;
}
BarPlot bars(std::vector<std::string> categories, std::vector<BarPlot::Series> series, bool stacked = false) {
  return {"Bytes", "Bytes by layer", "layer", {"bytes", "MiB"}, std::move(categories), std::move(series), {}, stacked};
}

}  // namespace

TEST_CASE("A line plot has its title, axes with units, marks with hints, and a legend from two series on") {
  LinePlot plot{"Decode", "Time by batch size", {"rows", "", Scale::log2}, {"time", "ms"}, {}, {}};
  plot.series.push_back({"w12", {{1, 2}, {2, 2.5}, {4, 3}}});
  std::string one = svg(plot, "p");
  CHECK(has(one, "role=\"img\" aria-labelledby=\"p-t p-d\""));
  CHECK(has(one, "<title id=\"p-t\">Decode</title>\n<desc id=\"p-d\">Time by batch size</desc>"));
  CHECK(has(one, ">time (ms)</text>"));
  CHECK(has(one, ">rows</text>"));
  CHECK(has(one, "<title>w12: 2.5 ms at 2</title>"));
  CHECK(count(one, "<path") == 1);
  CHECK_FALSE(has(one, "class=\"label\">w12"));
  // A logarithmic axis: equal factors are equal steps.
  const auto x = all(one, "cx");
  REQUIRE(x.size() == 3);
  CHECK(x[1] - x[0] == doctest::Approx(x[2] - x[1]).epsilon(0.01));
  // More is higher.
  const auto y = all(one, "cy");
  CHECK(y[0] > y[1]);
  CHECK(y[1] > y[2]);
  plot.series.push_back({"dense", {{1, 3}}});
  plot.levels.push_back({"roofline", 1.5});
  const std::string two = svg(plot, "p");
  CHECK(has(two, "class=\"label\">w12</text>"));
  CHECK(has(two, "class=\"label\">dense</text>"));
  CHECK(has(two, ">roofline</text>"));
  CHECK(svg(plot, "p") == two);
}

TEST_CASE("An axis of whole things has whole ticks") {
  LinePlot plot{"t", "d", {"layer"}, {"y"}, {{"s", {{0, 1}, {3, 1}}}}};
  CHECK(has(svg(plot, "p"), ">0.5</text>"));
  plot.x.whole = true;
  const std::string out = svg(plot, "p");
  CHECK_FALSE(has(out, "0.5</text>"));
  for (const char* tick : {">0<", ">1<", ">2<", ">3<"}) CHECK(has(out, std::string("class=\"tick mid\"") + tick));
}

TEST_CASE("A value that is none leaves a gap") {
  LinePlot plot{"t", "d", {"x"}, {"y"}, {{"s", {{1, 1}, {2, kNan}, {3, 1}, {4, 2}, {5, kInf}}}}, {}};
  const std::string out = svg(plot, "p");
  CHECK(count(out, "<circle") == 3);
  CHECK(count(out, "M") == 2);  // the pen is put down twice
  CHECK_FALSE(has(out, "nan"));
  CHECK_FALSE(has(out, "inf"));
  plot.x.scale = Scale::log10;
  plot.series = {{"s", {{0, 1}, {-1, 1}, {10, 1}}}};
  CHECK(count(svg(plot, "p"), "<circle") == 1);
}

TEST_CASE("A plot of nothing says so and keeps its frame") {
  for (const std::string& out :
       {svg(LinePlot{"t", "d", {"x"}, {"y"}, {}, {}}, "p"),
        svg(LinePlot{"t", "d", {"x", "", Scale::log2}, {"y"}, {{"s", {{1, kNan}}}}, {}}, "p"), svg(bars({}, {}), "p"),
        svg(bars({"a"}, {{"s", {kNan}, {}, {}}}), "p"), svg(bars({"a"}, {{"s", {kNan}, {}, {}}}, true), "p"),
        svg(Histogram{"t", "d", {"x"}, {"y"}, 0, 1, {}, {}, {}}, "p")}) {
    CHECK(has(out, "no data"));
    CHECK(has(out, "class=\"axis\""));
    CHECK_FALSE(has(out, "nan"));
    CHECK(out.ends_with("</svg>\n"));
  }
}

TEST_CASE("Bars stand on zero and are as long as their values") {
  const std::string out = svg(bars({"0", "1"}, {{"s", {10, 20}, {}, {}}}), "p");
  const auto height = all(out, "height", "rect"), y = all(out, "y", "rect");
  REQUIRE(height.size() == 2);
  CHECK(height[1] == doctest::Approx(2 * height[0]).epsilon(0.01));
  CHECK(y[0] + height[0] == doctest::Approx(y[1] + height[1]).epsilon(0.001));
  CHECK(has(out, "<title>s, 1: 20 MiB</title>"));
  const std::string below = svg(bars({"0", "1"}, {{"s", {-10, 10}, {}, {}}}), "p");
  const auto h = all(below, "height", "rect"), top = all(below, "y", "rect");
  CHECK(h[0] == doctest::Approx(h[1]).epsilon(0.01));
  CHECK(top[1] + h[1] == doctest::Approx(top[0]).epsilon(0.001));
}

TEST_CASE("Stacked bars end where the last one began, and groups stand side by side") {
  const std::vector<BarPlot::Series> series{{"a", {1}, {}, {}}, {"b", {3}, {}, {}}};
  const std::string stacked = svg(bars({"x"}, series, true), "p");
  // The first two rectangles are the legend's.
  const auto y = all(stacked, "y", "rect"), height = all(stacked, "height", "rect"), x = all(stacked, "x", "rect");
  REQUIRE(y.size() == 4);
  CHECK(x[2] == x[3]);
  CHECK(y[3] + height[3] == doctest::Approx(y[2]).epsilon(0.001));
  CHECK(height[3] == doctest::Approx(3 * height[2]).epsilon(0.01));
  const std::string grouped = svg(bars({"x"}, series), "p");
  const auto gx = all(grouped, "x", "rect"), width = all(grouped, "width", "rect");
  REQUIRE(gx.size() == 4);
  CHECK(gx[2] + width[2] <= gx[3]);
}

TEST_CASE("A spread is drawn as a whisker") {
  CHECK(count(svg(bars({"x"}, {{"a", {2}, {1.5}, {2.5}}}), "p"), "whisker") == 3);
  CHECK(count(svg(bars({"x"}, {{"a", {2}, {kNan}, {2.5}}}), "p"), "whisker") == 0);
}

TEST_CASE("Labels of many or long categories do not run into each other") {
  std::vector<std::string> many, names;
  std::vector<double> values;
  for (int i = 0; i < 126; ++i) many.push_back(std::to_string(i)), values.push_back(i);
  const std::string out = svg(bars(many, {{"s", values, {}, {}}}), "p");
  CHECK(count(out, "<rect") == 126);
  const size_t labels = count(out, "tick mid");
  CHECK(labels > 10);
  CHECK(labels < 64);
  for (int i = 0; i < 12; ++i) names.push_back("model.layers." + std::to_string(i) + ".self_attn.q_proj.weight");
  CHECK(count(svg(bars(names, {{"s", values, {}, {}}}), "p"), "rotate(-40") == 12);
}

TEST_CASE("A histogram has a bar a bin, in the colours of its groups") {
  Histogram plot{"Exponents", "Share by exponent", {"exponent"}, {"share", "%"}, -10.5, 1, {0, 25, 50, 25}, {}, {}};
  plot.groups = {"best 7", "others"};
  plot.group_of = {1, 0, 0, 1};
  const std::string out = svg(plot, "p");
  CHECK(count(out, "<rect") == 2 + 3);  // the legend, and no bar for a bin of nothing
  CHECK(count(out, "class=\"f c0\"") == 3);
  CHECK(count(out, "class=\"f c1\"") == 2);
  CHECK(has(out, "<title>-9: 25 %</title>"));
  CHECK(has(out, "class=\"label\">best 7</text>"));
  // Bins follow each other.
  const auto x = all(out, "x", "rect"), width = all(out, "width", "rect");
  CHECK(x[2] + width[2] <= x[3]);
}

TEST_CASE("Values of any size leave a page that a browser can draw") {
  for (double v : {1e-300, 1e-12, 1.0, 1e12, 1e90, 1e300, -1e90}) {
    for (Scale scale : {Scale::linear, Scale::log2, Scale::log10}) {
      LinePlot plot{"t", "d", {"x", "", scale}, {"y", "", scale}, {{"s", {{v, v}, {v, v * 2}}}}, {{"l", v}}};
      const std::string out = svg(plot, "p");
      for (const char* wrong : {"nan", "inf", "?"}) CHECK_FALSE(has(out, wrong));
      for (const char* attribute : {"x1", "x2", "y1", "y2", "cx", "cy"})
        for (double place : all(out, attribute)) {
          CHECK(place > -100);
          CHECK(place < 1000);
        }
    }
  }
}
