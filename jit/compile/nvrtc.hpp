// NVIDIA's run-time compiler, opened at run time through a table of typed symbols; nothing links it. The prototypes we
// need are declared here and compared with the real header by a test where that exists. The table is constant after
// open(): [any thread].
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/api/status.hpp"

namespace tare::jit {

struct NvrtcProgramOpaque;
using NvrtcProgram = NvrtcProgramOpaque*;
using NvrtcResult = int;  // 0: success, 6: the source does not compile

struct NvrtcSymbols {
  const char* (*nvrtcGetErrorString)(NvrtcResult);
  NvrtcResult (*nvrtcVersion)(int* major, int* minor);
  NvrtcResult (*nvrtcCreateProgram)(NvrtcProgram*, const char* source, const char* name, int num_headers,
                                    const char* const* headers, const char* const* include_names);
  NvrtcResult (*nvrtcDestroyProgram)(NvrtcProgram*);
  NvrtcResult (*nvrtcCompileProgram)(NvrtcProgram, int num_options, const char* const* options);
  NvrtcResult (*nvrtcAddNameExpression)(NvrtcProgram, const char* expression);
  NvrtcResult (*nvrtcGetLoweredName)(NvrtcProgram, const char* expression, const char** lowered);
  NvrtcResult (*nvrtcGetCUBINSize)(NvrtcProgram, size_t*);
  NvrtcResult (*nvrtcGetCUBIN)(NvrtcProgram, char*);
  NvrtcResult (*nvrtcGetPTXSize)(NvrtcProgram, size_t*);
  NvrtcResult (*nvrtcGetPTX)(NvrtcProgram, char*);
  NvrtcResult (*nvrtcGetProgramLogSize)(NvrtcProgram, size_t*);
  NvrtcResult (*nvrtcGetProgramLog)(NvrtcProgram, char*);
};

// The opened library. Never unloaded: compilations may still run on other threads at exit.
class Nvrtc {
 public:
  // Looks into each folder in turn, then asks the loader by name. libnvrtc-builtins is opened by full path first:
  // libnvrtc asks for it by its bare name, which finds it only when it is loaded already. not_found lists every place
  // with what was wrong there.
  static Result<std::shared_ptr<const Nvrtc>> open(const std::vector<std::string>& folders);

  const NvrtcSymbols& symbols() const noexcept { return symbols_; }
  int major() const noexcept { return major_; }
  int minor() const noexcept { return minor_; }
  const std::string& path() const noexcept { return path_; }
  std::string version() const { return std::to_string(major_) + "." + std::to_string(minor_); }

 private:
  NvrtcSymbols symbols_{};
  int major_ = 0, minor_ = 0;
  std::string path_;
};

// Folders where installed toolkits and wheels keep the library: `fetched` (what jit/fetch_nvrtc.sh filled; may be
// empty) first.
std::vector<std::string> nvrtc_folders(const std::string& fetched);

}  // namespace tare::jit
