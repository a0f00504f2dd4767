#include "core/base/partial_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "core/base/file.hpp"

namespace tare {
namespace {

namespace fs = std::filesystem;

// A lock on the folder that goes with the process; -1 when another holds it or it cannot be opened.
int lock_folder(const std::string& path) noexcept {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0 && ::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  if (descriptor >= 0) ::close(descriptor);
  return -1;
}

// So that names in it survive a power cut; what cannot be synced stays as it is.
void sync_folder(const std::string& path) noexcept {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) ::fsync(descriptor), ::close(descriptor);
}

void remove_leftovers(const std::string& path) {
  std::error_code ignored;
  const std::string begin = file_name(path) + ".partial-";
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder_name(path), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(begin) && name.size() == begin.size() + 6 && entry.is_directory(ignored))
      found.push_back(entry.path().string());
  }
  for (const std::string& old : found)
    if (const int lock = lock_folder(old); lock >= 0) {
      fs::remove_all(old, ignored);
      ::close(lock);
    }
}

}  // namespace

Result<std::unique_ptr<PartialFolder>> PartialFolder::create(const std::string& asked) {
  std::string path = asked;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::error_code error;
  if (fs::exists(fs::symlink_status(path, error))) {
    if (!fs::is_directory(path, error)) return invalid(path, ": exists and is no folder, expected a new folder");
    if (!fs::is_empty(path, error)) return invalid(path, ": exists and is not empty, expected a new folder");
  }
  if (!is_folder(folder_name(path)))
    return failure(Code::not_found, path, ": its folder ", folder_name(path), " does not exist");
  remove_leftovers(path);
  std::string partial = path + ".partial-XXXXXX";
  if (::mkdtemp(partial.data()) == nullptr)
    return failure(Code::unavailable, path, ": cannot be made: ", std::strerror(errno));
  const int lock = lock_folder(partial);
  auto out = std::unique_ptr<PartialFolder>(new PartialFolder(path, partial, lock));
  if (lock < 0) return failure(Code::unavailable, partial, ": cannot be locked: ", std::strerror(errno));
  fs::permissions(partial, fs::perms(0755), error);
  return out;
}

PartialFolder::~PartialFolder() {
  std::error_code ignored;
  if (!partial_.empty()) fs::remove_all(partial_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

Status PartialFolder::finish() {
  std::error_code error;
  for (fs::recursive_directory_iterator at(partial_, error), end; !error && at != end; at.increment(error))
    if (at->is_directory(error)) sync_folder(at->path().string());
  if (::fsync(lock_) != 0) return failure(Code::unavailable, partial_, ": cannot be synced: ", std::strerror(errno));
  if (::rename(partial_.c_str(), path_.c_str()) != 0)
    return failure(Code::unavailable, path_, ": cannot be renamed from ", partial_, ": ", std::strerror(errno));
  partial_.clear();
  sync_folder(folder_name(path_));
  return {};
}

}  // namespace tare
