// A file that appears under its name as a whole or not at all. Where the file system has nameless files, a process
// that is killed leaves nothing; elsewhere a locked file NAME.partial-XXXXXX, which the next `create` of NAME takes
// away once nobody holds it. `write` and `write_block` are [any thread], the rest one thread's.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <utility>

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
  // Part of the file as memory, reserved on disk and zero where nothing was written: a full disk is a Status, not a
  // signal. Goes before the file does.
  class Mapped {
   public:
    Mapped(Mapped&& other) noexcept { *this = std::move(other); }
    Mapped& operator=(Mapped&& other) noexcept {
      std::swap(base_, other.base_), std::swap(length_, other.length_), std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Mapped();
    std::span<std::byte> bytes() const noexcept { return bytes_; }

   private:
    friend class OutputFile;
    Mapped() = default;
    void* base_ = nullptr;
    size_t length_ = 0;
    std::span<std::byte> bytes_;
  };
  Result<Mapped> map(int64_t offset, int64_t bytes);
  Status finish();  // fsync, rename, fsync of the folder

 private:
  OutputFile(std::string path, std::string temporary, int descriptor);
  std::string path_, temporary_;  // temporary_ empty: nameless as yet
  int descriptor_;
  int direct_ = -1;  // the same file, opened to be written past the page cache; -1: it cannot be
};

}  // namespace tare
