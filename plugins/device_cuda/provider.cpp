#include "plugins/device_cuda/provider.hpp"

#include <charconv>

#include "plugins/device_cuda/device.hpp"
#include "plugins/device_cuda/library.hpp"
#include "plugins/device_cuda/nccl.hpp"

namespace tare::cuda {
namespace {

class CudaProvider final : public DeviceProvider {
 public:
  CudaProvider(std::string driver_library, jit::Jit* jit) : driver_library_(std::move(driver_library)), jit_(jit) {}
  std::string_view kind() const noexcept override { return "cuda"; }

  Found found() const override {
    Found out;
    const auto driver = Driver::open(driver_library_);
    if (!driver) {
      out.notes.push_back(driver.status().message());
      if (driver.status().code() != Code::not_found) out.trouble = out.notes.back();  // not found: no driver, or no GPU
      return out;
    }
    out.notes.push_back("NVIDIA driver for CUDA " + (*driver)->version_text());
    // Neither is needed to serve on one GPU.
    if (const auto blas = open_library(toolkit_folders(), "libcublasLt.so.13"); blas.ok()) {
      out.notes.push_back("cuBLASLt: " + blas->path);
    } else {
      out.notes.push_back(blas.status().message() +
                          " (serving works without it; benchmarks lack the vendor's figures)");
    }
    if (const auto nccl = Nccl::open(toolkit_folders()); nccl.ok()) {
      out.notes.push_back("NCCL " + (*nccl)->version_text() + ": " + (*nccl)->found_at());
    } else {
      out.notes.push_back(nccl.status().message() + " (only several GPUs need it)");
    }
    int count = 0;
    if (const Status s = (*driver)->check((*driver)->cuDeviceGetCount(&count), "cuDeviceGetCount"); !s.ok()) {
      out.notes.push_back(s.message());
      if (s.code() != Code::not_found) out.trouble = s.message();
    }
    for (int i = 0; i < count; ++i) {
      auto info = describe(**driver, i);
      if (info) {
        out.devices.push_back(std::move(*info));
      } else {
        out.notes.push_back(info.status().message());
        out.trouble = info.status().message();
      }
    }
    return out;
  }

  Result<std::unique_ptr<Device>> open(std::string_view id, const DeviceOptions& options) const override {
    int ordinal = -1;
    const std::string_view digits = id.starts_with("cuda:") ? id.substr(5) : std::string_view();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || ordinal < 0) {
      return invalid("\"", id, "\" is no CUDA device: expected cuda:0, cuda:1, ...");
    }
    TARE_ASSIGN_OR_RETURN(auto driver, Driver::open(driver_library_));
    int count = 0;
    TARE_RETURN_IF_ERROR(driver->check(driver->cuDeviceGetCount(&count), "cuDeviceGetCount"));
    if (ordinal >= count) {
      return failure(Code::not_found, id, " does not exist: this machine has ", count, count == 1 ? " GPU" : " GPUs");
    }
    return open_device(std::move(driver), ordinal, options.memory_bytes, jit_);
  }

 private:
  const std::string driver_library_;
  jit::Jit* const jit_;
};

}  // namespace

std::unique_ptr<DeviceProvider> make_provider(std::string driver_library, jit::Jit* jit) {
  return std::make_unique<CudaProvider>(std::move(driver_library), jit);
}

}  // namespace tare::cuda
