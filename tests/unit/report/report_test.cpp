#include <doctest/doctest.h>

#include <filesystem>

#include "core/base/file.hpp"
#include "core/report/number.hpp"
#include "core/report/report.hpp"
#include "tests/unit/report/page.hpp"

using namespace tare;
using namespace tare::report;
using namespace tare::report_test;

namespace {

Report with(Block block) { return {"A title", "", {}, {{"Section", {std::move(block)}}}}; }

}  // namespace

TEST_CASE("Numbers are written for people") {
  CHECK(number(0) == "0");
  CHECK(number(-0.0) == "0");
  CHECK(number(1234) == "1234");
  CHECK(number(1234567) == "1\u202f234\u202f567");
  CHECK(number(-123456) == "-123\u202f456");
  CHECK(number(3.14159265) == "3.142");
  CHECK(number(0.012345) == "0.01235");
  CHECK(number(12345.678, 1) == "12\u202f345.7");
  CHECK(number(2.5, 3) == "2.500");
  CHECK(number(-0.0001, 2) == "0.00");
  CHECK(number(1e300).find("e+300") != std::string::npos);
  CHECK(number(kNan) == "\u2013");
  CHECK(number(-kInf, 3) == "\u2013");
}

TEST_CASE("Ticks are round, enclose the data and are labelled without noise") {
  CHECK(nice_ticks(0, 97, 5) == std::vector<double>{0, 20, 40, 60, 80, 100});
  CHECK(nice_ticks(-3, 3, 6) == std::vector<double>{-3, -2, -1, 0, 1, 2, 3});
  const auto tenths = nice_ticks(0, 0.3, 3);
  REQUIRE(tenths.size() == 4);
  CHECK(tick_label(tenths[3], 0.1) == "0.3");
  CHECK(log_ticks(1, 16, Scale::log2, 8) == std::vector<double>{1, 2, 4, 8, 16});
  CHECK(log_ticks(1, 2048, Scale::log2, 6) == std::vector<double>{1, 4, 16, 64, 256, 1024, 4096});
  CHECK(log_ticks(3, 80, Scale::log10, 8) == std::vector<double>{1, 2, 5, 10, 20, 50, 100});
  CHECK(tick_label(25000, 5000) == "25k");
  CHECK(tick_label(1.5e9, 5e8) == "1.5G");
  CHECK(tick_label(2500, 500) == "2500");
  CHECK(tick_label(0, 0.25) == "0");
}

TEST_CASE("A page stands alone and has what the report says, in order") {
  const Report report{"Tuning of x",
                      "on y",
                      {{"device", "cpu"}, {"time", "1.5 s"}},
                      {{"First", {Paragraph{"One."}, Listing{"tare pack x\n"}}}, {"Second", {Facts{{{"a", "b"}}}}}}};
  const std::string page = to_html(report);
  CHECK(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  CHECK(has(page, "<title>Tuning of x</title>"));
  CHECK(has(page,
            "<h1>Tuning of x</h1>\n<p class=\"sub\">on y</p>\n<dl>\n<div><dt>device</dt><dd>cpu</dd></div>\n"
            "<div><dt>time</dt><dd>1.5 s</dd></div>\n</dl>\n<section>\n<h2>First</h2>\n<p>One.</p>\n"
            "<pre>tare pack x\n</pre>\n</section>\n<section>\n<h2>Second</h2>\n<dl>\n"));
  CHECK(page.ends_with("</html>\n"));
  // Nothing is fetched, and the browser is told to allow nothing.
  CHECK(has(page, "default-src 'none'"));
  for (const char* fetcher : {"http:", "https:", "src=", "href=", "@import", "url("}) CHECK_FALSE(has(page, fetcher));
  CHECK(has(page, "prefers-color-scheme:dark"));
  CHECK(to_html(report) == page);
}

TEST_CASE("Text from outside cannot become markup") {
  const std::string evil = "<script>alert('x')</script>&\"\x01";
  const std::string safe = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;\uFFFD";
  const std::vector<Block> blocks{
      Paragraph{evil},
      Listing{evil},
      Facts{{{evil, evil}}},
      Table{evil, {{evil, evil}}, {{Cell(evil)}, {Cell(1.0, evil)}}},
      LinePlot{evil, evil, {evil, evil}, {evil, evil}, {{evil, {{1, 2}}}, {evil, {{2, 1}}}}, {{evil, 3}}},
      BarPlot{evil, evil, evil, {evil, evil}, {evil}, {{evil, {1}, {}, {}}, {evil, {1}, {}, {}}}, {{evil, 1}}},
      Histogram{evil, evil, {evil, evil}, {evil, evil}, 0, 1, {1, 2}, {evil, evil}, {0, 1}}};
  for (const Block& block : blocks) {
    Report report = with(block);
    report.title = report.subtitle = report.sections[0].title = evil;
    report.facts = {{evil, evil}};
    const std::string page = to_html(report);
    CHECK_FALSE(has(page, "<script>alert"));
    CHECK_FALSE(has(page, evil));
    CHECK(has(page, safe));
    CHECK(count(page, "<script>") == 1);  // ours
  }
}

TEST_CASE("A table sorts by value, right-aligns numbers and shows what is missing as a dash") {
  const std::string page = to_html(with(Table{"Tensors",
                                              {{"name", "", false}, {"bytes", "MiB", true, 1}, {"size", "", true}},
                                              {{"a", 1024.25, {2048.0, "2 KiB"}}, {"b", kNan, 7}, {"c"}}}));
  CHECK(has(page, "<figcaption>Tensors</figcaption>"));
  CHECK(has(page,
            "<th scope=\"col\"><button type=\"button\">name</button></th><th scope=\"col\" class=\"n\">"
            "<button type=\"button\">bytes <small>MiB</small></button></th>"));
  CHECK(has(
      page,
      "<tr><td>a</td><td class=\"n\" data-v=\"1024.25\">1024.2</td><td class=\"n\" data-v=\"2048\">2 KiB</td></tr>"));
  CHECK(has(page, "<tr><td>b</td><td class=\"n\" data-v=\"\">\u2013</td><td class=\"n\" data-v=\"7\">7</td></tr>"));
  CHECK(has(page, "<tr><td>c</td><td class=\"n\"></td><td class=\"n\"></td></tr>"));
  CHECK(has(to_html(with(Table{"", {{"name"}}, {}})), "No rows."));
}

TEST_CASE("A page is written whole, or not at all and said so") {
  const std::string folder = std::filesystem::temp_directory_path() / "tare-report-test";
  std::filesystem::create_directories(folder);
  const Report report = with(Paragraph{"x"});
  REQUIRE(write_html(report, folder + "/a.html").ok());
  CHECK(*read_file(folder + "/a.html", 1 << 20) == to_html(report));
  const Status status = write_html(report, folder + "/no/a.html");
  CHECK_FALSE(status.ok());
  CHECK(has(status.message(), folder + "/no"));
  std::filesystem::remove_all(folder);
}
