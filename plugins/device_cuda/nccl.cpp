#include "plugins/device_cuda/nccl.hpp"

#include <dlfcn.h>

#include "plugins/device_cuda/library.hpp"

namespace tare::cuda {

Result<std::shared_ptr<const Nccl>> Nccl::open(const std::vector<std::string>& folders) {
  TARE_ASSIGN_OR_RETURN(const OpenedLibrary library, open_library(folders, "libnccl.so.2"));
  auto out = std::make_shared<Nccl>();
  out->path_ = library.path;
#define TARE_RESOLVE(name, parameters)                                             \
  out->name = reinterpret_cast<decltype(out->name)>(dlsym(library.handle, #name)); \
  if (out->name == nullptr) return failure(Code::unsupported, library.path, " lacks " #name);
  TARE_NCCL_SYMBOLS(TARE_RESOLVE)
  TARE_RESOLVE(ncclGetErrorString, ())
#undef TARE_RESOLVE
  TARE_RETURN_IF_ERROR(out->check(out->ncclGetVersion(&out->version_), "ncclGetVersion"));
  return std::shared_ptr<const Nccl>(std::move(out));
}

std::string Nccl::version_text() const {
  return text(version_ / 10000, ".", version_ % 10000 / 100, ".", version_ % 100);
}

Status Nccl::check(NcclResult result, const char* call) const {
  return result == 0 ? Status()
                     : failure(Code::internal, call, ": NCCL error ", result, ", ", ncclGetErrorString(result));
}

}  // namespace tare::cuda
