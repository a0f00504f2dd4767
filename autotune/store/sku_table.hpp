// The table of SKUs, tuning-db/skus.toml: which device name has which slug, and what a described device has, so that
// plans can be made for devices that are not there. Plain values, [any thread].
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/api/device.hpp"

namespace tare {

struct SkuDescription {
  std::string sku, device, kind, architecture;  // device: the driver's name for it
  int64_t units = 0, memory_bytes = 0;
  double gb_s = 0, tflops = 0, watts = 0;  // memory bandwidth, dense BF16 rate, power limit; 0: unknown
};
Result<std::vector<SkuDescription>> parse_sku_table(std::string_view toml, std::string_view source);
// The slug of a device name: as the table maps it, else lower case with '-' for what is no letter or digit.
std::string sku_of(std::string_view device_name, std::span<const SkuDescription> table);
DeviceInfo to_device_info(const SkuDescription& sku);

}  // namespace tare
