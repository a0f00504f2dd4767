#include "core/bundle/tare_output.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/file.hpp"
#include "core/base/printable.hpp"

namespace tare {

static Status write_failure(const std::string& path, int error) {
  return failure(error == ENOSPC || error == EDQUOT ? Code::exhausted : Code::invalid, printable(path, 400),
                 ": cannot be written: ", std::strerror(error));
}

// What processes that are gone left beside `path`.
static void remove_stale(const std::string& path) {
  const std::string folder = folder_name(path), prefix = file_name(path) + ".partial-";
  DIR* const stream = ::opendir(folder.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string name = entry->d_name, full = join_path(folder, name);
    if (!name.starts_with(prefix) || name.size() != prefix.size() + 6) continue;
    const int descriptor = ::open(full.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(full.c_str());
    ::close(descriptor);
  }
  ::closedir(stream);
}

Result<std::unique_ptr<OutputFile>> OutputFile::create(const std::string& path) {
  if (is_folder(path)) return invalid(printable(path, 400), ": is a folder, expected the name of a file to write");
  remove_stale(path);
  const int nameless = ::open(folder_name(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
  if (nameless >= 0) {
    ::flock(nameless, LOCK_EX | LOCK_NB);
    return std::unique_ptr<OutputFile>(new OutputFile(path, "", nameless));
  }
  for (int attempt = 0; attempt < 8; ++attempt) {
    std::string temporary = path + ".partial-XXXXXX";
    const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (descriptor < 0) return write_failure(path, errno);
    // Another process may have taken it for a stale one before it was locked.
    struct stat facts {};
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && ::fstat(descriptor, &facts) == 0 && facts.st_nlink > 0) {
      ::fchmod(descriptor, 0644);
      return std::unique_ptr<OutputFile>(new OutputFile(path, temporary, descriptor));
    }
    ::close(descriptor);
  }
  return failure(Code::unavailable, printable(path, 400), ": another process is writing it");
}
OutputFile::OutputFile(std::string path, std::string temporary, int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {
  const std::string self = "/proc/self/fd/" + std::to_string(descriptor);
  direct_ = ::open(self.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
}
OutputFile::~OutputFile() {
  if (direct_ >= 0) ::close(direct_);
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}
// 0 or the error; `bytes` and `offset` are left behind what was written.
static int put_all(int descriptor, int64_t* offset, std::span<const std::byte>* bytes) {
  while (!bytes->empty()) {
    const ssize_t put = ::pwrite(descriptor, bytes->data(), bytes->size(), static_cast<off_t>(*offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    *bytes = bytes->subspan(static_cast<size_t>(put)), *offset += put;
  }
  return 0;
}
Status OutputFile::write(int64_t offset, std::span<const std::byte> bytes) {
  const int error = put_all(descriptor_, &offset, &bytes);
  return error == 0 ? Status() : write_failure(path_, error);
}
Status OutputFile::write_block(int64_t offset, std::span<const std::byte> bytes) {
  const int error = direct_ >= 0 ? put_all(direct_, &offset, &bytes) : EINVAL;
  if (error == 0) return {};
  if (error != EINVAL) return write_failure(path_, error);
  return write(offset, bytes);  // this file system wants another alignment, or has no such way at all
}
OutputFile::Mapped::~Mapped() {
  if (base_ != nullptr) ::munmap(base_, length_);
}
Result<OutputFile::Mapped> OutputFile::map(int64_t offset, int64_t bytes) {
  Mapped out;
  if (bytes == 0) return out;
  if (const int error = ::posix_fallocate(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes)))
    return write_failure(path_, error);
  const auto page = static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
  const int64_t begin = offset / page * page;
  out.length_ = static_cast<size_t>(offset + bytes - begin);
  void* at = ::mmap(nullptr, out.length_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, static_cast<off_t>(begin));
  if (at == MAP_FAILED) return write_failure(path_, errno);
  out.base_ = at;
  out.bytes_ = {static_cast<std::byte*>(at) + (offset - begin), static_cast<size_t>(bytes)};
  return out;
}
Status OutputFile::finish() {
  if (::fsync(descriptor_) != 0) return write_failure(path_, errno);
  if (temporary_.empty()) {
    // linkat does not replace: the complete file gets a passing name first, one of those that are found when stale.
    const std::string self = "/proc/self/fd/" + std::to_string(descriptor_);
    const auto place = static_cast<unsigned>(::getpid()) * 64u + static_cast<unsigned>(descriptor_) % 64u;
    for (unsigned attempt = 0; attempt < 64 && temporary_.empty(); ++attempt) {
      char number[8];
      std::snprintf(number, sizeof number, "%06x", (place + attempt * 4096u) & 0xffffff);
      const std::string passing = path_ + ".partial-" + number;
      if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, passing.c_str(), AT_SYMLINK_FOLLOW) == 0)
        temporary_ = passing;
      else if (errno != EEXIST)
        return write_failure(path_, errno);
    }
    if (temporary_.empty()) return write_failure(path_, EEXIST);
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return write_failure(path_, errno);
  temporary_.clear();
  if (direct_ >= 0) ::close(std::exchange(direct_, -1));
  if (::close(std::exchange(descriptor_, -1)) != 0) return write_failure(path_, errno);
  const int folder = ::open(folder_name(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) ::fsync(folder), ::close(folder);
  return {};
}

}  // namespace tare
