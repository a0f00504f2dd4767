#include "autotune/store/entry.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "autotune/store/attribute_text.hpp"
#include "core/base/printable.hpp"

namespace tare {

int64_t rows_point(int64_t rows) noexcept {
  for (const int64_t point : kRowsPoints)
    if (rows <= point) return point;
  return kRowsPoints.back();
}
int64_t first_of_bucket(int64_t point) noexcept {
  int64_t before = 0;
  for (const int64_t p : kRowsPoints) {
    if (p >= point) break;
    before = p;
  }
  return before + 1;
}

Status check(const TuningEntry& entry) {
  const auto& [k, v] = entry;
  const auto named = [&] { return text("entry '", printable(k.problem, 80), "' at ", k.rows, " rows: "); };
  if (std::ranges::find(kRowsPoints, k.rows) == kRowsPoints.end())
    return invalid(named(), "rows is ", k.rows, ", expected one of the rows points 1, 2, 4, ... 4096");
  for (const auto& [what, value] : {std::pair<const char*, const std::string*>{"sku", &k.sku},
                                    {"problem", &k.problem},
                                    {"layout", &k.layout},
                                    {"kernel", &v.kernel}}) {
    if (value->empty()) return invalid(named(), what, " is empty, expected a name");
    if (value->size() > 4096) return invalid(named(), what, " has ", value->size(), " bytes, expected at most 4096");
  }
  for (const auto& [what, value] : {std::pair<const char*, double>{"us", v.us},
                                    {"spread", v.spread},
                                    {"first_us", v.first_us},
                                    {"runner_up_us", v.runner_up_us},
                                    {"gb_s", v.gb_s},
                                    {"share", v.share},
                                    {"baseline_us", v.baseline_us},
                                    {"vendor_us", v.vendor_us},
                                    {"sustained_us", v.sustained_us},
                                    {"megahertz", v.megahertz},
                                    {"watts", v.watts}})
    if (!std::isfinite(value) || value < 0)
      return invalid(named(), what, " is ", value, ", expected a finite number that is not negative");
  if (auto config = parse_attributes(v.config); !config.ok()) return std::move(config).status().in(named() + "config");
  return {};
}

void sort(std::vector<TuningEntry>& entries) { std::ranges::sort(entries, {}, &TuningEntry::key); }

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char buffer[32];
  return {buffer, std::strftime(buffer, sizeof buffer, "%Y-%m-%d", &utc)};
}

}  // namespace tare
