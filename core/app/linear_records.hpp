// What `tare bench linear` measured (JSON lines), as it shows it: per number of rows the speed-up
// against the vendor's best algorithm, bytes, share of the limit, exactness, the price of one order of the K sum, and
// the gain in parts. Plain values. [any thread]
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/api/status.hpp"
#include "core/report/report.hpp"

namespace tare {

// The four products of a layer, chained, at one number of rows. Times in microseconds; 0: not measured.
struct LinearRow {
  std::string device, shape, code, weights;
  int64_t tokens = 0, resident_bytes = 0;
  double us = 0, vendor_us = 0, without_dependent_us = 0, dense_us = 0;
  double limit_share = 0, flop_share = 0;  // of the bandwidth, of the arithmetic
  double singles_speed_up = 0;  // geometric mean of all products measured singly, those outside the layer included
  double sustained_us = 0, sustained_vendor_us = 0;
  double fixed_order_us = 0, free_order_us = 0;     // products singly: the matrix's own order, the best for these rows
  bool stale = false;                               // measured with earlier kernels, as the record itself says
  std::vector<std::string> configs = {}, ptx = {};  // by product; ptx: "" where the record has no hash
  std::string compiler = {};                        // of the kernels, "13.0.88"; empty: none, or not said

  double speed_up() const { return us > 0 ? vendor_us / us : 0; }
  double sustained_speed_up() const { return sustained_us > 0 ? sustained_vendor_us / sustained_us : 0; }
  // The gain is bytes() * kernel(): fewer bytes in the same kernels and launch mode, and these against the vendor's.
  // Part of both is dependent(): launching before the kernel ahead has ended.
  double bytes() const { return dense_us > 0 && us > 0 ? dense_us / us : 0; }
  double kernel() const { return dense_us > 0 ? vendor_us / dense_us : 0; }
  double dependent() const { return us > 0 ? without_dependent_us / us : 0; }
  double order_price() const { return free_order_us > 0 ? fixed_order_us / free_order_us - 1 : 0; }
  bool lacks_hashes() const { return std::ranges::find(ptx, "") != ptx.end(); }
};
struct LinearRecords {
  std::vector<LinearRow> rows;  // by device, shape, code, weights, tokens
  int64_t comparisons = 0, wrong = 0;
};

// Adds one record (a JSON object). Those of other kinds are passed over. invalid: it is none.
Status add_linear_record(const std::string& json, const std::string& where, LinearRecords& records);
// In the order that they are shown in.
void sort(LinearRecords& records);
// Adds a file's records. invalid names the file and line; records of other kinds are passed over.
Status read_linear_records(const std::string& path, LinearRecords& records);
// The geometric mean of the price of one order over the rows that have one; nothing: none has.
std::optional<double> mean_order_price(std::span<const LinearRow> rows);
std::string linear_text(const LinearRecords& records);
std::string linear_json(const LinearRecords& records);
report::Report linear_report(const LinearRecords& records);

}  // namespace tare
