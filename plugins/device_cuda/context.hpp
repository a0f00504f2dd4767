// The driver and the primary context of one GPU; alive as long as anything made from it. [any thread]
#pragma once
#include <memory>
#include <utility>

#include "plugins/device_cuda/driver.hpp"

namespace tare::cuda {

class Context {
 public:
  static Result<std::shared_ptr<const Context>> create(std::shared_ptr<const Driver> driver, int ordinal) {
    CuDevice device = 0;
    CuContext context = nullptr;
    TARE_RETURN_IF_ERROR(driver->check(driver->cuDeviceGet(&device, ordinal), "cuDeviceGet"));
    TARE_RETURN_IF_ERROR(driver->check(driver->cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain"));
    return std::shared_ptr<const Context>(new Context(std::move(driver), device, context));
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { driver_->cuDevicePrimaryCtxRelease_v2(device_); }
  CuDevice device() const noexcept { return device_; }
  // "0000:18:00.0"; empty when the driver does not say.
  std::string bus_id() const {
    char out[32] = {};
    return driver_->cuDeviceGetPCIBusId(out, sizeof out - 1, device_) == 0 ? out : "";
  }
  // The driver, with this context current on the calling thread.
  const Driver& enter() const {
    driver_->cuCtxSetCurrent(context_);
    return *driver_;
  }

 private:
  Context(std::shared_ptr<const Driver> driver, CuDevice device, CuContext context)
      : driver_(std::move(driver)), device_(device), context_(context) {}
  const std::shared_ptr<const Driver> driver_;
  const CuDevice device_;
  const CuContext context_;
};
using ContextRef = std::shared_ptr<const Context>;

}  // namespace tare::cuda
