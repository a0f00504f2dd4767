// A device that computes nothing: host memory under a ledger, copies that copy. Contract tests and planning tests run
// on it, and it shows the least that a Device must do. Thread rule: that of Device.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "core/api/device.hpp"
#include "core/api/ledger.hpp"

namespace tare {

class NullDevice final : public Device {
 public:
  explicit NullDevice(int64_t budget_bytes);
  ~NullDevice() override;

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<std::unique_ptr<Buffer>> allocate(size_t bytes, Purpose purpose, std::string_view label) override;
  Result<std::unique_ptr<Stream>> create_stream() override;
  Status copy_in(Stream& stream, void* to_device, const void* from_host, size_t bytes) override;
  Status copy_out(Stream& stream, void* to_host, const void* from_device, size_t bytes) override;
  Status fill(Stream& stream, void* device, uint8_t value, size_t bytes) override;
  bool host_addressable() const noexcept override { return true; }
  void* query(std::string_view interface) noexcept override;

  // What was asked of it, for tests.
  struct Counts {
    int64_t allocations = 0;  // granted, since the beginning
    int64_t refused = 0;
    int64_t copies = 0;
  };
  Counts counts() const noexcept { return {allocations_.load(), refused_.load(), copies_.load()}; }

 private:
  DeviceInfo info_;
  std::shared_ptr<Ledger> ledger_;  // shared with the buffers: one may outlive the device
  std::atomic<int64_t> allocations_ = 0, refused_ = 0, copies_ = 0;
};

}  // namespace tare
