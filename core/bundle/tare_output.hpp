// A file that appears under its name as a whole or not at all. Where the file system has nameless files, a process
// that is killed leaves nothing; elsewhere a locked file NAME.partial-XXXXXX, which the next `create` of NAME takes
// away once nobody holds it. `write` is [any thread], the rest one thread's.
#pragma once
#include <memory>
#include <span>
#include <string>

#include "core/api/status.hpp"

namespace tare {

class OutputFile {
 public:
  static Result<std::unique_ptr<OutputFile>> create(const std::string& path);
  ~OutputFile();  // without `finish`: nothing stays
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  Status write(int64_t offset, std::span<const std::byte> bytes);
  Status finish();  // fsync, rename, fsync of the folder

 private:
  OutputFile(std::string path, std::string temporary, int descriptor)
      : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}
  std::string path_, temporary_;  // temporary_ empty: nameless as yet
  int descriptor_;
};

}  // namespace tare
