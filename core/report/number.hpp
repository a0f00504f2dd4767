// Numbers for people and for SVG, the same under every locale. [any thread]
#pragma once
#include <string>
#include <vector>

#include "core/report/report.hpp"

namespace tare::report {

// decimals >= 0: as many. Else integers in full and everything else with four significant digits. Thousands are
// grouped by narrow spaces. Not finite: a dash.
std::string number(double value, int decimals = -1);
// For attributes: two decimals at most, no grouping.
std::string coordinate(double value);
// 1234 -> "1234", 25000 -> "25k", 3000000 -> "3M": for ticks; `step` says how many decimals they need.
std::string tick_label(double value, double step);

// Ticks at 1, 2, 2.5 or 5 times a power of ten, about `wanted` of them; the first is at most `low`, the last at least
// `high`. Precondition: low < high, both finite.
std::vector<double> nice_ticks(double low, double high, int wanted);
// Powers of two or ten (with 2 and 5 between when they are few) that enclose low and high. Precondition: 0 < low <=
// high.
std::vector<double> log_ticks(double low, double high, Scale scale, int wanted);

std::string escaped(std::string_view text);  // & < > " '; control characters but newline and tab become U+FFFD

}  // namespace tare::report
