#include "plugins/device_cuda/library.hpp"

#include <dlfcn.h>

#include <filesystem>

namespace tare::cuda {

Result<OpenedLibrary> open_library(const std::vector<std::string>& folders, const char* name) {
  std::string tried;
  const auto open = [&](const std::string& path) {
    void* const handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL);
    if (handle == nullptr) {
      const char* why = dlerror();
      tried += (tried.empty() ? "" : "; ") + (why != nullptr ? std::string(why) : path);
    }
    return handle;
  };
  for (const std::string& folder : folders) {
    const std::string path = folder + "/" + name;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) {
      tried += (tried.empty() ? "not in " : "; not in ") + folder;
    } else if (void* const handle = open(path)) {
      return OpenedLibrary{handle, path};
    }
  }
  if (void* const handle = open(name)) return OpenedLibrary{handle, name};
  return failure(Code::not_found, name, " was not found: ", tried);
}

std::vector<std::string> toolkit_folders() {
  return {"/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib"};
}

}  // namespace tare::cuda
