// The drawing of plots as inline SVG. [any thread]
#pragma once
#include <string>

#include "core/report/report.hpp"

namespace tare::report {

// `id` is unique in the page: title and description are referred to by it.
std::string svg(const LinePlot& plot, const std::string& id);
std::string svg(const BarPlot& plot, const std::string& id);
std::string svg(const Histogram& plot, const std::string& id);

}  // namespace tare::report
