// Compiled kernels on disk: one file an entry, named by the hash of everything that matters (source closure,
// expression, options, architecture, NVRTC version). Several processes may share a folder: entries are published by
// temporary file, fsync and rename, losing the race is fine, and whatever is truncated or altered is removed and made
// again. [any thread]
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"
#include "jit/jit.hpp"

namespace tare::jit {

class CubinCache {
 public:
  // folder: created at the first store; empty: a cache that never has anything. max_bytes bounds the folder's entries.
  CubinCache(std::string folder, int64_t max_bytes) : folder_(std::move(folder)), max_bytes_(max_bytes) {}

  // The entry of `key` (32 hex digits), or nothing: absent, or corrupt and now removed.
  std::optional<CompiledKernel> find(const std::string& key) const;

  // Publishes an entry and drops the least recently used ones past the bound. A folder that is full or read-only is a
  // failure that the caller may pass on as a warning: the kernel itself is fine.
  Status store(const std::string& key, const CompiledKernel& kernel) const;

  struct Entry {
    std::string key;
    int64_t bytes = 0;
    int64_t last_used = 0;  // seconds since the epoch
    std::string symbol;     // empty when the entry cannot be read
  };
  // All entries, least recently used first.
  std::vector<Entry> list() const;
  // Removes every entry; the number removed, or what could not be.
  Result<int64_t> clear() const;

 private:
  std::string path(const std::string& key) const { return folder_ + "/" + key + ".kernel"; }
  std::string folder_;
  int64_t max_bytes_;
};

// The bytes of an entry and back. corrupt: they are not what encode_entry() made.
std::string encode_entry(const CompiledKernel& kernel);
Result<CompiledKernel> decode_entry(std::string_view bytes);

}  // namespace tare::jit
