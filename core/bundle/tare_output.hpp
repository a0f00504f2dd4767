// A file that appears under its name as a whole or not at all. Where the file system has nameless files, a process
// that is killed leaves nothing; elsewhere a locked file NAME.partial-XXXXXX, which the next `create` of NAME takes
// away once nobody holds it. `write` and `write_block` are [any thread], the rest one thread's.
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
  // The same past the page cache, where the file system can: place, size and memory are multiples of kBlockAlignment.
  Status write_block(int64_t offset, std::span<const std::byte> bytes);
  static constexpr int64_t kBlockAlignment = 4096;
  Status finish();  // fsync, rename, fsync of the folder

 private:
  OutputFile(std::string path, std::string temporary, int descriptor);
  std::string path_, temporary_;  // temporary_ empty: nameless as yet
  int descriptor_;
  int direct_ = -1;  // the same file, opened to be written past the page cache; -1: it cannot be
};

}  // namespace tare
