#include "plugins/device_cuda/driver.hpp"

#include <dlfcn.h>

#include <vector>

namespace tare::cuda {

Result<std::shared_ptr<const Driver>> Driver::open(const std::string& path) {
  void* library = nullptr;
  std::string tried;
  const std::vector<std::string> names =
      path.empty() ? std::vector<std::string>{"libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1"}
                   : std::vector<std::string>{path};
  for (const std::string& name : names) {
    library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    const char* why = dlerror();
    tried += std::string(tried.empty() ? "" : "; ") + (why != nullptr ? std::string(why) : name);
  }
  if (library == nullptr) return failure(Code::not_found, "no NVIDIA driver: ", tried);
  auto out = std::make_shared<Driver>();
#define TARE_RESOLVE(name, parameters)                                      \
  out->name = reinterpret_cast<decltype(out->name)>(dlsym(library, #name)); \
  if (out->name == nullptr)                                                 \
    return failure(Code::unsupported,                                       \
                   "the NVIDIA driver lacks " #name ": it is older than 580, which CUDA 13.0 needs; update it");
  TARE_CUDA_SYMBOLS(TARE_RESOLVE)
#undef TARE_RESOLVE
  TARE_RETURN_IF_ERROR(out->check(out->cuInit(0), "cuInit"));
  TARE_RETURN_IF_ERROR(out->check(out->cuDriverGetVersion(&out->version_), "cuDriverGetVersion"));
  if (out->version_ < kOldestDriver) {
    return failure(Code::unsupported, "the NVIDIA driver supports CUDA ", out->version_text(),
                   ", the kernels need 13.0: update to driver 580 or newer");
  }
  return std::shared_ptr<const Driver>(std::move(out));
}

std::string Driver::version_text() const { return text(version_ / 1000, ".", version_ % 1000 / 10); }

Status Driver::check(CuResult result, const char* call, std::string_view doing) const {
  if (result == 0) return {};
  const char *id = nullptr, *words = nullptr;
  if (cuGetErrorName != nullptr) cuGetErrorName(result, &id);
  if (cuGetErrorString != nullptr) cuGetErrorString(result, &words);
  const Code code = result == 2 ? Code::exhausted : result == 100 ? Code::not_found : Code::internal;
  const std::string during = doing.empty() ? "" : text(" (", doing, ")");
  const char* advice = "";
  switch (result) {
    case 2:
      advice = "; free device memory or lower the budget";
      break;
    case 100:
      advice = "; no GPU is visible to this process";
      break;
    case 209:
      advice = "; the kernel was compiled for another architecture";
      break;
    case 700:
    case 719:
      advice = "; the device's context is lost: restart the process";
      break;
    default:
      break;
  }
  return failure(code, call, during, ": ", id != nullptr ? id : "error", " ", result, ", ",
                 words != nullptr ? words : "unknown", advice);
}

}  // namespace tare::cuda
