// VendorBaseline: a problem's product by the device vendor's own library on plain weights, with as many copies of them
// as no cache holds. Stacked matrices are one product there. [one thread]
#pragma once
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "autotune/launch_timer.hpp"
#include "autotune/linear_lab.hpp"
#include "autotune/measure/measure.hpp"
#include "autotune/vendor_products.hpp"
#include "core/api/kernel.hpp"

namespace tare {

// The fastest way of sizes that were measured: outputs, inputs, rows. One for a whole run: chains and layouts share it.
using VendorWays = std::map<std::tuple<int32_t, int32_t, int64_t>, int>;

class VendorBaseline {
 public:
  // Null: the problem does not begin with products of bf16 numbers. `vendor` was opened; all outlive it.
  static Result<std::unique_ptr<VendorBaseline>> create(Device& device, VendorProducts& vendor, DeviceData& data,
                                                        LaunchTimer& timer, const Problem& problem, int64_t most_rows,
                                                        int64_t cold_bytes, VendorWays& ways);
  // The fastest of the library's ways for these rows: measured when `ways` does not know it.
  Result<int> best_way(int64_t rows, int64_t launches);
  // `launches` launches in a row, timed by the timer.
  Launcher unit(int64_t rows, int way, int64_t launches);
  static constexpr int kMostHeuristics = 8;

 private:
  VendorBaseline(VendorProducts& vendor, LaunchTimer& timer, VendorWays& ways)
      : vendor_(vendor), timer_(timer), ways_(ways) {}
  Status launch(int64_t rows, int way);
  ProductShape shape(int64_t rows) const noexcept { return {static_cast<int32_t>(rows), outputs_, inputs_}; }

  VendorProducts& vendor_;
  LaunchTimer& timer_;
  std::unique_ptr<Stream> stream_;
  std::vector<std::unique_ptr<Buffer>> weights_;
  std::unique_ptr<Buffer> x_, out_;
  int32_t outputs_ = 0, inputs_ = 0;
  size_t next_ = 0;
  VendorWays& ways_;
};

}  // namespace tare
