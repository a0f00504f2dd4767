#include <charconv>

#include "core/base/file.hpp"
#include "core/report/number.hpp"
#include "core/report/plot.hpp"
#include "core/report/report.hpp"
#include "core/report/style.hpp"

namespace tare::report {
namespace {

std::string sort_key(double value) {
  if (!std::isfinite(value)) return "";
  char out[32];
  return {out, std::to_chars(out, out + sizeof out, value).ptr};
}

class Page {
 public:
  std::string finish(const Report& report) {
    out_ =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>" +
        escaped(report.title) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n<main>\n<h1>" +
        escaped(report.title) + "</h1>\n";
    if (!report.subtitle.empty()) out_ += "<p class=\"sub\">" + escaped(report.subtitle) + "</p>\n";
    add(Facts{report.facts});
    for (const Section& section : report.sections) {
      out_ += "<section>\n";
      if (!section.title.empty()) out_ += "<h2>" + escaped(section.title) + "</h2>\n";
      for (const Block& block : section.blocks) std::visit([&](const auto& b) { add(b); }, block);
      out_ += "</section>\n";
    }
    return std::move(out_) + "</main>\n<script>" + kScript + "</script>\n</body>\n</html>\n";
  }

 private:
  void add(const Paragraph& paragraph) { out_ += "<p>" + escaped(paragraph.text) + "</p>\n"; }
  void add(const Listing& listing) { out_ += "<pre>" + escaped(listing.text) + "</pre>\n"; }
  void add(const Facts& facts) {
    if (facts.facts.empty()) return;
    out_ += "<dl>\n";
    for (const Fact& f : facts.facts)
      out_ += "<div><dt>" + escaped(f.name) + "</dt><dd>" + escaped(f.value) + "</dd></div>\n";
    out_ += "</dl>\n";
  }
  void add(const Table& table) {
    out_ += "<figure>\n";
    if (!table.title.empty()) out_ += "<figcaption>" + escaped(table.title) + "</figcaption>\n";
    out_ += "<div class=\"wrap\"><table>\n<thead><tr>";
    for (const Column& c : table.columns)
      out_ += std::string(c.numeric ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">") +
              "<button type=\"button\">" + escaped(c.name) +
              (c.unit.empty() ? "" : " <small>" + escaped(c.unit) + "</small>") + "</button></th>";
    out_ += "</tr></thead>\n<tbody>\n";
    for (const auto& row : table.rows) {
      out_ += "<tr>";
      for (size_t i = 0; i < table.columns.size(); ++i) cell(i < row.size() ? row[i] : Cell(""), table.columns[i]);
      out_ += "</tr>\n";
    }
    out_ += "</tbody></table></div>\n";
    if (table.rows.empty()) out_ += "<p>No rows.</p>\n";
    out_ += "</figure>\n";
  }
  void cell(const Cell& c, const Column& column) {
    out_ += column.numeric ? "<td class=\"n\"" : "<td";
    if (c.value()) out_ += " data-v=\"" + sort_key(*c.value()) + "\"";
    out_ += ">" + (c.text().empty() && c.value() ? number(*c.value(), column.decimals) : escaped(c.text())) + "</td>";
  }
  template <class Plot>
  void add(const Plot& plot) {
    out_ += "<figure>\n<figcaption>" + escaped(plot.title) + "</figcaption>\n" +
            svg(plot, "plot" + std::to_string(++plots_)) +
            (plot.description.empty() ? "" : "<p>" + escaped(plot.description) + "</p>\n") + "</figure>\n";
  }

  std::string out_;
  int plots_ = 0;
};

}  // namespace

std::string to_html(const Report& report) { return Page().finish(report); }
Status write_html(const Report& report, const std::string& path) {
  return write_file_atomically(path, to_html(report));
}

}  // namespace tare::report
