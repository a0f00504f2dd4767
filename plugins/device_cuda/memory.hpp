// Memory of one GPU under its ledger: weights and state in a reserved range of addresses each, everything else straight
// from the driver; pinned host memory beside it. [any thread]
#pragma once
#include <array>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string_view>

#include "core/api/ledger.hpp"
#include "plugins/device_cuda/address_range.hpp"

namespace tare::cuda {

class DeviceMemory {
 public:
  DeviceMemory(ContextRef context, std::shared_ptr<Ledger> ledger)
      : context_(std::move(context)), ledger_(std::move(ledger)) {}
  // Refused by the ledger or the driver: with figures, and nothing stays allocated.
  Result<std::unique_ptr<Buffer>> allocate(size_t bytes, Purpose purpose, std::string_view label);
  Result<std::unique_ptr<Buffer>> allocate_pinned(size_t bytes);
  // As long as it lives nobody allocates here: for those who see by the driver's free memory what something took.
  std::unique_lock<std::shared_mutex> hold() { return std::unique_lock(steady_); }

 private:
  // The range for weights or for state; null where the device cannot map memory.
  Result<std::shared_ptr<AddressRange>> range_for(Purpose purpose);

  const ContextRef context_;
  const std::shared_ptr<Ledger> ledger_;
  std::shared_mutex steady_;
  std::mutex mutex_;
  std::array<std::shared_ptr<AddressRange>, 2> ranges_;  // of weights, of state; reserved when first wanted
  bool plain_ = false;                                   // the device cannot map memory
};

}  // namespace tare::cuda
