// The host's side of jit/1: builds the service from its options. Nothing happens before the first compile(): NVRTC is
// opened then. [any thread]
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jit/jit.hpp"

namespace tare::jit {

struct JitOptions {
  std::string cache_folder;                // empty: nothing is kept on disk
  int64_t cache_bytes = int64_t{1} << 30;  // oldest entries go when the folder grows past this
  std::string source_tree;                 // read kernels from this checkout instead of the embedded text
  std::vector<std::string> nvrtc_folders;  // looked into in this order (nvrtc_folders())
  int32_t threads = 0;                     // 0: one a core
  // Told once when kernels cannot be kept on disk: they work, and are compiled again at the next start. May be empty.
  std::function<void(const std::string&)> warn = {};
};

// Folders where installed toolkits and wheels keep NVRTC: each of `fetched` (what jit/fetch_nvrtc.sh filled) first.
std::vector<std::string> nvrtc_folders(const std::vector<std::string>& fetched);

std::unique_ptr<Jit> make_jit(JitOptions options);

// A kernel on disk.
struct CachedKernel {
  std::string key, symbol;  // symbol: "" when the entry cannot be read
  int64_t bytes = 0;
  int64_t last_used = 0;  // seconds since the epoch
};
std::vector<CachedKernel> cached_kernels(const std::string& folder);  // least recently used first
// Removes them all; how many, or what could not be removed.
Result<int64_t> clear_cached_kernels(const std::string& folder);

}  // namespace tare::jit
