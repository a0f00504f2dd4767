// TuningEntry: one measured choice: on which SKU, for which problem, layout, order of sums and rows point, which kernel
// with which config was fastest, by how much, and where the figure comes from. Plain values, [any thread].
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/api/status.hpp"

namespace tare {

// A bucket is the half-open range of rows that ends at its point.
constexpr std::array<int64_t, 16> kRowsPoints{1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096};
// The point whose bucket holds `rows`: the first one not below it; more than the last point belong to the last.
int64_t rows_point(int64_t rows) noexcept;
// The least rows of a point's bucket: one more than the point before.
int64_t first_of_bucket(int64_t point) noexcept;

struct TuningKey {
  std::string sku;       // "nvidia-h100-sxm"
  std::string problem;   // its printed form (problem_text.hpp)
  std::string layout;    // of its weights: "w12/cpu-tiles"
  std::string numerics;  // the order of sums
  int64_t rows = 1;      // one of kRowsPoints
  auto operator<=>(const TuningKey&) const = default;
};
struct TuningValue {
  std::string kernel, config;  // id, and the printed attributes: "{prefetch = 8}"
  double us = 0, spread = 0;   // median at the bucket's last row count; spread: median distance from it
  double first_us = 0;         // median at the bucket's first row count
  std::string runner_up;       // "KERNEL CONFIG" of the second best; empty: there was none
  double runner_up_us = 0;
  double gb_s = 0, share = 0;  // weight bytes read a second; the share of the roofline, 0: unknown
  std::string baseline;        // "KERNEL CONFIG" of the default choice in the same run
  double baseline_us = 0;
  // Of the same run, 0 where it was not read: the vendor's best on plain weights, this choice in sustained use, clock
  // and power.
  double vendor_us = 0, sustained_us = 0, megahertz = 0, watts = 0;
  bool exact = false;    // equal bits to the dense variant of the same numerics
  std::string hash;      // of the kernel
  std::string versions;  // program and driver that measured: "tare 0.1.0"
  std::string date;      // "2026-01-31"
  bool operator==(const TuningValue&) const = default;
};
// The order of sums that a problem has on a SKU: chosen once, whatever is fastest later.
struct KeptNumerics {
  std::string sku, problem, numerics;
  bool operator==(const KeptNumerics&) const = default;
};
struct TuningEntry {
  TuningKey key;
  TuningValue value;
  bool operator==(const TuningEntry&) const = default;
};

// An entry that no reader should see: an unknown rows point, an empty name, a negative or infinite figure. One
// sentence.
Status check(const TuningEntry& entry);
void sort(std::vector<TuningEntry>& entries);
// Today in UTC: "2026-01-31".
std::string today();

}  // namespace tare
