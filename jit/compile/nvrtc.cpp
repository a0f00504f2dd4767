#include "jit/compile/nvrtc.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>

namespace tare::jit {
namespace {

namespace fs = std::filesystem;

// Library names by preference: 13 is what the kernels are tuned with.
constexpr const char* kNames[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};

std::string folder_of(const void* symbol) {
  Dl_info info{};
  if (dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return {};
  return fs::path(info.dli_fname).parent_path().string();
}

// Opens the builtins that lie beside the compiler, so that its own look-up by bare name succeeds.
void open_builtins(const std::string& folder) {
  std::error_code ignored;
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("libnvrtc-builtins.so.") && name.find(".alt.") == std::string::npos) {
      found.push_back(entry.path().string());
    }
  }
  std::sort(found.begin(), found.end());
  for (const std::string& path : found) dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
}

template <class F>
bool resolve(void* library, const char* name, F& slot) {
  slot = reinterpret_cast<F>(dlsym(library, name));
  return slot != nullptr;
}

}  // namespace

Result<std::shared_ptr<const Nvrtc>> Nvrtc::open(const std::vector<std::string>& folders) {
  std::string tried;
  auto note = [&](const std::string& what) { tried += (tried.empty() ? "" : "; ") + what; };
  void* library = nullptr;
  for (const std::string& folder : folders) {
    std::error_code ignored;
    for (const char* name : kNames) {
      const std::string path = folder + "/" + name;
      if (!fs::exists(path, ignored)) continue;
      open_builtins(folder);
      library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library != nullptr) break;
      note(dlerror());
    }
    if (library != nullptr) break;
    note("not in " + folder);
  }
  for (const char* name : kNames) {
    if (library != nullptr) break;
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) note(std::string("the loader does not know ") + name);
  }
  if (library == nullptr) {
    return failure(
        tare::Code::not_found,
        "NVRTC, the CUDA run-time compiler, was not found (install a CUDA 13 toolkit or run jit/fetch_nvrtc.sh): ",
        tried);
  }
  auto out = std::make_shared<Nvrtc>();
  NvrtcSymbols& s = out->symbols_;
#define TARE_RESOLVE(name)              \
  if (!resolve(library, #name, s.name)) \
  return failure(tare::Code::unsupported, "the NVRTC library lacks the symbol " #name)
  TARE_RESOLVE(nvrtcGetErrorString);
  TARE_RESOLVE(nvrtcVersion);
  TARE_RESOLVE(nvrtcCreateProgram);
  TARE_RESOLVE(nvrtcDestroyProgram);
  TARE_RESOLVE(nvrtcCompileProgram);
  TARE_RESOLVE(nvrtcAddNameExpression);
  TARE_RESOLVE(nvrtcGetLoweredName);
  TARE_RESOLVE(nvrtcGetCUBINSize);
  TARE_RESOLVE(nvrtcGetCUBIN);
  TARE_RESOLVE(nvrtcGetPTXSize);
  TARE_RESOLVE(nvrtcGetPTX);
  TARE_RESOLVE(nvrtcGetProgramLogSize);
  TARE_RESOLVE(nvrtcGetProgramLog);
#undef TARE_RESOLVE
  if (const NvrtcResult r = s.nvrtcVersion(&out->major_, &out->minor_); r != 0) {
    return failure(tare::Code::unsupported, "NVRTC does not tell its version: ", s.nvrtcGetErrorString(r));
  }
  if (out->major_ < 13) {
    return failure(tare::Code::unsupported, "NVRTC ", out->version(), " was found, but the kernels need 13.0 or newer");
  }
  const std::string folder = folder_of(reinterpret_cast<const void*>(s.nvrtcVersion));
  open_builtins(folder);
  out->path_ = folder;
  return std::shared_ptr<const Nvrtc>(std::move(out));
}

std::vector<std::string> nvrtc_folders(const std::string& fetched) {
  std::vector<std::string> out;
  if (!fetched.empty()) {
    out.push_back(fetched);
    out.push_back(fetched + "/nvidia/cu13/lib");
  }
  out.push_back("/usr/local/cuda/lib64");
  out.push_back("/usr/local/cuda/targets/x86_64-linux/lib");
  return out;
}

}  // namespace tare::jit
