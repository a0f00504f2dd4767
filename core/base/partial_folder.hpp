// A folder that appears under its name as a whole or not at all: files go into NAME.partial-XXXXXX beside it, which
// is locked while it is written; what a killed run left is taken away by the next one. [loader]
#pragma once
#include <memory>
#include <string>

#include "core/api/status.hpp"

namespace tare {

class PartialFolder {
 public:
  // Refused: `path` is there and no empty folder, or its parent is not there.
  static Result<std::unique_ptr<PartialFolder>> create(const std::string& path);
  ~PartialFolder();  // without finish(): nothing stays
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;
  const std::string& path() const noexcept { return partial_; }  // where to write
  // fsync of the folders in it (files are who wrote them's), rename, fsync of the parent.
  Status finish();

 private:
  PartialFolder(std::string path, std::string partial, int lock)
      : path_(std::move(path)), partial_(std::move(partial)), lock_(lock) {}
  std::string path_, partial_;
  int lock_;
};

}  // namespace tare
