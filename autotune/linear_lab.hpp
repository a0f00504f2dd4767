// LinearLab: what a plugin with products for one kind of device offers to those who measure them ("linear_lab/2", a
// service): numbers that are made and compared where they lie, and a bench of a layer against the vendor's library.
// [any thread]; what it makes, one thread.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/device.hpp"
#include "core/api/kernel.hpp"

namespace tare {

// Numbers on a device. Equal arguments give equal numbers, on every device of the kind.
class DeviceData {
 public:
  virtual ~DeviceData() = default;
  // bf16 weights as training leaves them, outliers included, or plain Gaussians of sigma 0.02.
  virtual Status fill_weights(Stream& stream, int64_t rows, int64_t columns, uint64_t seed, bool gaussian,
                              void* out) = 0;
  virtual Status fill_activations(Stream& stream, int64_t count, uint64_t seed, void* out) = 0;  // bf16
  // How many of `count` 16-bit words differ. Waits.
  virtual Result<int64_t> differing(Stream& stream, const void* a, const void* b, int64_t count) = 0;
  // Bytes a second of a kernel that only reads.
  virtual Result<double> read_bandwidth() = 0;
};

// A product of a layer.
struct LayerProduct {
  std::string name;  // "gate_up"
  int64_t outputs = 0, inputs = 0;
  bool chained = true;  // false: measured singly alone (lm_head)
};
struct LinearBenchRequest {
  std::string shape;                   // "llama-3.1-8b"
  std::vector<LayerProduct> products;  // in the order of the layer
  std::vector<int64_t> rows = {1, 8, 16, 32, 64, 128, 256};
  std::vector<int64_t> odd_rows = {7, 33, 200};   // checked, not timed
  std::string code = "w12", weights = "trained";  // weights: trained, gaussian, clustered, adversarial
  std::vector<std::string> vendor_folders = {};
  double sustained_seconds = 0;  // a slice; 0: bursts alone
  int64_t sustained_from = 32;   // rows
  double peak_tflops = 0;        // of the device, for the share of it; 0: unknown
  bool check = true, dense = true, free_order = false;
  // "product:rows:kernel", of `products`: these are launched once each and nothing is measured, for a profiler to look
  // at. The kernel is a label as records have it, or "vendor" for the vendor's default.
  std::vector<std::string> launches = {};
  std::function<void(const std::string& record)> record = {};  // a JSON object for every figure
  std::function<void(const std::string& line)> say = {};       // for people, as it goes
  std::function<bool()> stopped = {};
};

class LinearLab {
 public:
  static constexpr std::string_view kInterface = "linear_lab/2";
  virtual ~LinearLab() = default;
  virtual std::string_view device_kind() const noexcept = 0;  // "cuda"
  virtual Result<std::unique_ptr<DeviceData>> data(Device& device) = 0;
  // Measures the layer. Refused: a product that no kernel takes, a device that fails, one that was stopped.
  virtual Status bench(Device& device, const LinearBenchRequest& request) = 0;
  // How a matrix of that size begins in `layout` when its numbers are as training leaves them: enough to bind kernels to
  // it, not to run them. Empty: the layout is none of this plugin's, or does not take the matrix.
  virtual std::vector<std::byte> usual_head(const WeightInfo& matrix, std::string_view layout) const = 0;
};

}  // namespace tare
