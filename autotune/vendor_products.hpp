// VendorProducts: plain products by the device vendor's own library, the baseline of every measurement. A device that
// finds such a library offers "vendor_products/1" (Device::query). Serving works without it. [one thread]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/device.hpp"

namespace tare {

// out[rows][outputs] = x[rows][inputs] * weights[outputs][inputs]^T: bf16, row-major, sums in f32.
struct ProductShape {
  int32_t rows = 0, outputs = 0, inputs = 0;
};

class VendorProducts {
 public:
  static constexpr std::string_view kInterface = "vendor_products/1";
  virtual ~VendorProducts() = default;
  // Looks for the library, first in `folders`; not_found lists where. Once it was found, no more is looked for.
  virtual Status open(const std::vector<std::string>& folders) = 0;
  virtual std::string found_at() const = 0;
  // Ways to compute `shape`: number 0 is the library's own choice, then up to `most` of its heuristics, best guess
  // first.
  virtual Result<int> prepare(const ProductShape& shape, int most) = 0;
  // Puts way `which` of a shape that was prepared on the stream. [graph-capturable]
  virtual Status run(const ProductShape& shape, int which, Stream& stream, const void* weights, const void* x,
                     void* out) = 0;
};

}  // namespace tare
