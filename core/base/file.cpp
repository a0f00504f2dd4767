#include "core/base/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

namespace tare {
namespace {

struct Descriptor {
  int fd = -1;
  explicit Descriptor(int descriptor) : fd(descriptor) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int release() noexcept { return std::exchange(fd, -1); }
};

Status system_failure(const std::string& path, std::string_view what, int error) {
  const Code code = error == ENOENT || error == ENOTDIR  ? Code::not_found
                    : error == ENOSPC || error == EDQUOT ? Code::exhausted
                                                         : Code::invalid;
  return failure(code, path, ": ", what, ": ", std::strerror(error));
}

// An embedded NUL would make the system open another path than the one that was named.
Status check_path(const std::string& path) {
  if (path.empty()) return invalid("the path is empty");
  if (path.find('\0') != std::string::npos) return invalid("the path has a NUL byte in it");
  return {};
}

}  // namespace

struct File::Mapping {
  std::once_flag once;
  const std::byte* data = nullptr;
};

File::File(std::string path, int descriptor, int64_t begin, int64_t bytes)
    : path_(std::move(path)),
      descriptor_(descriptor),
      begin_(begin),
      bytes_(bytes),
      mapping_(std::make_unique<Mapping>()) {}
File::~File() {
  if (mapping_->data != nullptr)
    ::munmap(const_cast<std::byte*>(mapping_->data) - begin_, static_cast<size_t>(begin_ + bytes_));
  ::close(descriptor_);
}

Result<std::shared_ptr<const File>> File::open(const std::string& path) {
  TARE_RETURN_IF_ERROR(check_path(path));
  // O_NONBLOCK: opening a pipe must not hang; it has no effect on regular files.
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.fd < 0) return system_failure(path, "cannot be opened", errno);
  struct stat facts {};
  if (::fstat(descriptor.fd, &facts) != 0) return system_failure(path, "cannot be examined", errno);
  if (S_ISDIR(facts.st_mode)) return invalid(path, ": is a folder, expected a file");
  if (!S_ISREG(facts.st_mode)) return invalid(path, ": is not a regular file");
  return std::shared_ptr<const File>(new File(path, descriptor.release(), 0, facts.st_size));
}
Result<std::shared_ptr<const File>> File::open_part(const std::string& path, int64_t begin, int64_t bytes) {
  TARE_ASSIGN_OR_RETURN(const auto whole, open(path));
  if (begin < 0 || bytes < 0 || begin > whole->bytes() || bytes > whole->bytes() - begin)
    return failure(Code::corrupt, path, ": has ", whole->bytes(), " bytes, expected ", bytes, " from ", begin, " on");
  const int descriptor = ::fcntl(whole->descriptor_, F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0) return system_failure(path, "cannot be opened", errno);
  return std::shared_ptr<const File>(new File(path, descriptor, begin, bytes));
}

Status File::read(int64_t offset, std::span<std::byte> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, std::min<size_t>(out.size() - done, size_t{1} << 30),
                                static_cast<off_t>(begin_ + offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure(path_, "cannot be read", errno);
    if (got == 0)
      return failure(Code::corrupt, path_, ": ends at byte ", offset + static_cast<int64_t>(done), ", expected ",
                     out.size() - done, " bytes more (the file had ", bytes_, " bytes when it was opened)");
    done += static_cast<size_t>(got);
  }
  return {};
}

const std::byte* File::map() const noexcept {
  std::call_once(mapping_->once, [this] {
    if (bytes_ == 0) return;
    void* at = ::mmap(nullptr, static_cast<size_t>(begin_ + bytes_), PROT_READ, MAP_SHARED, descriptor_, 0);
    if (at != MAP_FAILED) mapping_->data = static_cast<const std::byte*>(at) + begin_;
  });
  return mapping_->data;
}

Result<std::string> read_file(const std::string& path, int64_t max_bytes) {
  TARE_ASSIGN_OR_RETURN(const auto file, File::open(path));
  if (file->bytes() > max_bytes)
    return failure(Code::exhausted, path, ": has ", file->bytes(), " bytes, at most ", max_bytes, " are accepted");
  std::string content(static_cast<size_t>(file->bytes()), '\0');
  TARE_RETURN_IF_ERROR(file->read(0, std::as_writable_bytes(std::span(content))));
  return content;
}

Status write_file_atomically(const std::string& path, std::string_view content) {
  TARE_RETURN_IF_ERROR(check_path(path));
  std::string temporary = path + ".XXXXXX";
  Descriptor descriptor(::mkostemp(temporary.data(), O_CLOEXEC));
  if (descriptor.fd < 0) return system_failure(path, "cannot be written", errno);
  const auto fail = [&](int error) {
    ::unlink(temporary.c_str());
    return system_failure(path, "cannot be written", error);
  };
  for (size_t done = 0; done < content.size();) {
    const ssize_t put = ::write(descriptor.fd, content.data() + done, content.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(errno);
    done += static_cast<size_t>(put);
  }
  // mkostemp makes it private; a file that replaces another keeps that one's rights, a new one gets the usual ones.
  struct stat old {};
  const mode_t rights = ::stat(path.c_str(), &old) == 0 ? (old.st_mode & 07777) : mode_t{0644};
  if (::fchmod(descriptor.fd, rights) != 0 || ::fsync(descriptor.fd) != 0) return fail(errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail(errno);
  Descriptor folder(::open(folder_name(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd >= 0) ::fsync(folder.fd);  // so that the new name survives a power cut
  return {};
}

bool is_file(const std::string& path) noexcept {
  struct stat facts {};
  return path.find('\0') == std::string::npos && ::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode);
}
bool is_folder(const std::string& path) noexcept {
  struct stat facts {};
  return path.find('\0') == std::string::npos && ::stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode);
}
std::string join_path(std::string_view folder, std::string_view name) {
  if (folder.empty() || folder == "." || name.starts_with('/')) return std::string(name);
  return std::string(folder) + (folder.ends_with('/') ? "" : "/") + std::string(name);
}
static std::string_view without_slashes(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}
std::string file_name(std::string_view path) {
  path = without_slashes(path);
  return std::string(path.substr(path.rfind('/') + 1));
}
std::string folder_name(std::string_view path) {
  path = without_slashes(path);
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? "." : slash == 0 ? "/" : std::string(path.substr(0, slash));
}

}  // namespace tare
