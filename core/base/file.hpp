// Files: reading with limits, atomic writing, and File, an open regular file that is read by position. Messages name
// the path. Thread rule: functions are [any thread]; a File is const after open and [any thread].
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/api/status.hpp"

namespace tare {

// The whole of a regular file. Refused: not found, no right, a folder, larger than `max_bytes` (both figures).
Result<std::string> read_file(const std::string& path, int64_t max_bytes);

// Readers see the old content or the new one, never a part: temporary file in the same folder, fsync, rename, fsync of
// the folder. On failure the temporary file is removed and the old content stays.
Status write_file_atomically(const std::string& path, std::string_view content);

// Does a regular file (a folder) of that path exist? Symbolic links are followed.
bool is_file(const std::string& path) noexcept;
bool is_folder(const std::string& path) noexcept;
// "a/b" + "c" = "a/b/c"; an absolute `name` stays as it is.
std::string join_path(std::string_view folder, std::string_view name);
std::string file_name(std::string_view path);    // after the last '/', trailing '/' ignored
std::string folder_name(std::string_view path);  // before it; "." when there is none

// A regular file, open for reading. Reads copy by position, so a file that is cut while it is open gives a Status and
// never a signal.
class File {
 public:
  static Result<std::shared_ptr<const File>> open(const std::string& path);
  // Bytes [begin, begin + bytes) of a file, as a file of their own; they must lie inside.
  static Result<std::shared_ptr<const File>> open_part(const std::string& path, int64_t begin, int64_t bytes);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const noexcept { return path_; }
  int64_t bytes() const noexcept { return bytes_; }  // when it was opened
  // Fills `out` from `offset`; corrupt when the file ends before.
  Status read(int64_t offset, std::span<std::byte> out) const;
  // The file's bytes in memory, mapped at the first call, or null when it cannot be mapped. Valid as long as the File.
  // Who reads through it accepts that cutting the file in place ends the process (SIGBUS); replacing it by rename is
  // safe.
  const std::byte* map() const noexcept;

 private:
  File(std::string path, int descriptor, int64_t begin, int64_t bytes);
  struct Mapping;
  std::string path_;
  int descriptor_;
  int64_t begin_, bytes_;
  std::unique_ptr<Mapping> mapping_;
};

}  // namespace tare
