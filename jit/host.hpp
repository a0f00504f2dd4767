// The host's side of jit/1: builds the service from its options. Nothing happens before the first compile(): NVRTC is
// opened then. [any thread]
#pragma once
#include <memory>
#include <string>

#include "jit/jit.hpp"

namespace tare::jit {

struct JitOptions {
  std::string cache_folder;                // empty: nothing is kept on disk
  int64_t cache_bytes = int64_t{1} << 30;  // oldest entries go when the folder grows past this
  std::string source_tree;                 // read kernels from this checkout instead of the embedded text
  std::vector<std::string> nvrtc_folders;  // looked into in this order (nvrtc_folders())
  int32_t threads = 0;                     // 0: one a core
};

std::unique_ptr<Jit> make_jit(JitOptions options);

}  // namespace tare::jit
