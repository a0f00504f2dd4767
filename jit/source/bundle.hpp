// Named bundles of kernel sources, embedded at build time (CMake: tare_cuda_bundle). A file's name is its path from the
// repository's root, which is also how `#include "..."` names it. Plain constant data: [any thread].
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare::jit {

struct SourceFile {
  std::string_view path;  // "plugins/linear/cuda/strip.cuh"
  std::string_view text;
};

struct SourceBundle {
  std::string_view name;  // "linear"
  std::span<const SourceFile> files;
};

// A set of sources to compile from: bundles, and on wish the tree itself, which wins over them.
class SourceSet {
 public:
  // tree: a checkout's root to read files from while developing; empty: embedded text only.
  explicit SourceSet(std::vector<SourceBundle> bundles, std::string tree = {});

  // The text of `path`, from the tree if there is one and it has the file. not_found names the bundles that were
  // searched.
  Result<std::string> text(std::string_view path) const;

  struct Closure {
    std::vector<std::string> paths;  // sorted; the entry and everything it includes
    std::vector<std::string> texts;  // by position
    std::string hash;                // of paths and texts, 32 hex digits
  };
  // Everything that `entry` includes by quotes or angle brackets, directly or not. A missing file is named with who
  // wants it.
  Result<Closure> closure(std::string_view entry) const;

 private:
  std::vector<SourceBundle> bundles_;
  std::string tree_;
};

}  // namespace tare::jit
