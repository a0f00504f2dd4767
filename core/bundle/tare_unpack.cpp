// Restoring a folder from a bundle, and checking a bundle.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/base/sha256.hpp"
#include "core/base/parallel.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "core/bundle/tare_output.hpp"
#include "core/bundle/tare_pack.hpp"

namespace tare {
namespace {

namespace fs = std::filesystem;
std::string hex(const Sha256Bytes& bytes) {
  std::string out;
  for (uint8_t b : bytes) out += "0123456789abcdef"[b >> 4], out += "0123456789abcdef"[b & 15];
  return out;
}

Status check_stop(const TareWork& work) {
  return work.stop && work.stop() ? failure(Code::cancelled, "was interrupted") : Status();
}

// Where restored bytes go. Files by place; `begin` and `end` (which may be empty) go round each plain file. Calls for
// different files come from different threads.
struct Restored {
  std::function<Status(size_t file)> begin, end;
  std::function<Status(size_t file, int64_t offset, std::span<const std::byte>)> take;
};
// Every content and tensor of the bundle once, SHA-256 checked. Laid-out tensors are checked as they are stored.
Status restore(const TareBundle& bundle, Progress& progress, const TareWork& work, const Restored& to) {
  const TareDirectory& d = bundle.directory();
  const auto one = [&](uint32_t file, int64_t begin, const Sha256Bytes& sha, const std::string& what,
                       const auto& stream) -> Status {
    Sha256 hash;
    int64_t at = begin;
    const TareBundle::Take take = [&](std::span<const std::byte> bytes) -> Status {
      TARE_RETURN_IF_ERROR(check_stop(work));
      progress.advance(static_cast<int64_t>(bytes.size()));
      if (file == TareTensor::kNoFile) return {};
      hash.add(bytes);
      TARE_RETURN_IF_ERROR(to.take(file, at, bytes));
      at += static_cast<int64_t>(bytes.size());
      return {};
    };
    TARE_RETURN_IF_ERROR(stream(take));
    if (file == TareTensor::kNoFile || hash.finish() == hex(sha)) return {};
    return failure(Code::corrupt, what, " is damaged: its SHA-256 does not match");
  };
  return parallel_for(d.files.size() + d.tensors.size(), work.threads, [&](size_t i) -> Status {
    if (i < d.files.size()) {
      const TareFile& f = d.files[i];
      const bool plain = f.kind == TareFile::Kind::plain;
      if (plain && to.begin) TARE_RETURN_IF_ERROR(to.begin(i));
      const auto stream = [&](const TareBundle::Take& take) {
        return bundle.stream_stored(f.stored, bundle.name_of(f), take);
      };
      TARE_RETURN_IF_ERROR(one(static_cast<uint32_t>(i), 0, f.sha, bundle.name_of(f), stream));
      return plain && to.end ? to.end(i) : Status();
    }
    const TareTensor& t = d.tensors[i - d.files.size()];
    return one(t.file, t.begin, t.sha, bundle.name_of(t),
               [&](const TareBundle::Take& take) { return bundle.stream_tensor(t, take); });
  });
}

int64_t plain_bytes(const TareDirectory& d) {
  int64_t bytes = 0;
  for (const auto& f : d.files) bytes += f.bytes;
  for (const auto& t : d.tensors)
    if (t.file == TareTensor::kNoFile) bytes += t.stored.bytes;
  return bytes;
}

// A folder beside `out` that only this process fills; what an earlier, killed run left in it goes.
class PartialFolder {
 public:
  Status create(const std::string& out) {
    std::string target = out;
    while (target.size() > 1 && target.ends_with('/')) target.pop_back();
    std::error_code error;
    if (fs::exists(target, error) && !(fs::is_directory(target, error) && fs::is_empty(target, error)))
      return invalid(printable(out, 400), ": is there already and not an empty folder");
    path_ = target + ".tare-partial";
    lock_ = ::open((path_ + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (lock_ < 0) return invalid(printable(out, 400), ": cannot be written: ", std::strerror(errno));
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
      return failure(Code::unavailable, printable(out, 400), ": another unpack is writing it");
    fs::remove_all(path_, error);
    if (!fs::create_directories(path_, error)) return invalid(path_, ": cannot be made: ", error.message());
    return {};
  }
  ~PartialFolder() {
    if (lock_ < 0) return;
    std::error_code error;
    fs::remove_all(path_, error);
    ::unlink((path_ + ".lock").c_str());
    ::close(lock_);
  }
  Status finish(const std::string& out) {
    std::error_code error;
    fs::rename(path_, out, error);
    return error ? invalid(printable(out, 400), ": cannot be written: ", error.message()) : Status();
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int lock_ = -1;
};

// The bytes between what is stored must be zero: a flipped bit there is damage too.
Status check_gaps(const TareBundle& bundle) {
  const TareDirectory& d = bundle.directory();
  std::vector<std::pair<int64_t, int64_t>> gaps;
  std::vector<std::pair<int64_t, int64_t>> places = {{d.directory_offset, d.directory_offset}};
  const auto add = [&](const TareStream& s) {
    if (s.pieces == 0) return;
    places.emplace_back(s.offset, s.end());
    gaps.emplace_back(s.offset + s.bytes, s.table_offset());
  };
  for (const auto& f : d.files) add(f.stored);
  for (const auto& t : d.tensors) add(t.stored);
  std::sort(places.begin(), places.end());
  int64_t end = kTarePage;
  for (const auto& [offset, stop] : places) gaps.emplace_back(end, offset), end = stop;
  for (const auto& [from, to] : gaps) {
    std::vector<std::byte> gap(static_cast<size_t>(to - from));
    TARE_RETURN_IF_ERROR(bundle.file()->read(from, gap));
    if (std::any_of(gap.begin(), gap.end(), [](std::byte b) { return b != std::byte{0}; }))
      return failure(Code::corrupt, bundle.path(), " is damaged: its bytes from ", from, " to ", to,
                     " are filling, expected zeros");
  }
  return {};
}

Status compare(const File& file, int64_t offset, std::span<const std::byte> bytes) {
  std::vector<std::byte> other(bytes.size());
  TARE_RETURN_IF_ERROR(file.read(offset, other));
  const auto differs = std::mismatch(bytes.begin(), bytes.end(), other.begin()).first;
  if (differs == bytes.end()) return {};
  return failure(Code::corrupt, printable(file.path(), 400), ": differs from the bundle at byte ",
                 offset + (differs - bytes.begin()));
}

}  // namespace

Status unpack_tare(const std::string& path, const std::string& out, const TareWork& work) {
  TARE_ASSIGN_OR_RETURN(const auto bundle, TareBundle::open(path));
  const TareDirectory& d = bundle->directory();
  for (const TareTensor& t : d.tensors)
    if (t.codec == TareTensor::Codec::layout)
      return failure(Code::unsupported, path, ": is a serving bundle, its weights lie as ",
                     printable(t.laid.layout, 80), "; unpack the distribution bundle that it was made from");
  PartialFolder folder;
  TARE_RETURN_IF_ERROR(folder.create(out));
  std::vector<std::unique_ptr<OutputFile>> files(d.files.size());
  const auto begin = [&](size_t i) -> Status {
    const std::string to = join_path(folder.path(), d.files[i].name);
    std::error_code error;
    fs::create_directories(folder_name(to), error);
    if (error) return invalid(folder_name(to), ": cannot be made: ", error.message());
    TARE_ASSIGN_OR_RETURN(files[i], OutputFile::create(to));
    return {};
  };
  const auto end = [&](size_t i) -> Status {
    TARE_RETURN_IF_ERROR(files[i]->finish());
    files[i].reset();
    return {};
  };
  const auto take = [&](size_t i, int64_t offset, std::span<const std::byte> bytes) {
    return files[i]->write(offset, bytes);
  };
  for (size_t i = 0; i < d.files.size(); ++i)
    if (d.files[i].kind != TareFile::Kind::plain) TARE_RETURN_IF_ERROR(begin(i));
  Progress progress("unpacking", plain_bytes(d), work.show_progress && Progress::stderr_is_terminal());
  TARE_RETURN_IF_ERROR(restore(*bundle, progress, work, {.begin = begin, .end = end, .take = take}));
  for (size_t i = 0; i < d.files.size(); ++i)
    if (files[i]) TARE_RETURN_IF_ERROR(end(i));
  return folder.finish(out);
}

Status verify_tare(const std::string& path, const VerifyOptions& options) {
  TARE_ASSIGN_OR_RETURN(const auto bundle, TareBundle::open(path));
  const TareDirectory& d = bundle->directory();
  TARE_RETURN_IF_ERROR(check_gaps(*bundle));
  std::vector<std::shared_ptr<const File>> files(d.files.size());
  for (size_t i = 0; i < files.size() && !options.against.empty(); ++i) {
    TARE_ASSIGN_OR_RETURN(files[i], File::open(join_path(options.against, d.files[i].name)));
    if (files[i]->bytes() != d.files[i].bytes)
      return failure(Code::corrupt, files[i]->path(), ": has ", files[i]->bytes(), " bytes, the bundle's has ",
                     d.files[i].bytes);
  }
  Progress progress("verifying", plain_bytes(d), options.show_progress && Progress::stderr_is_terminal());
  // Checksums of what is stored first: a table that no read looks at in full is covered too.
  const auto check = [&](size_t i) {
    const bool file = i < d.files.size();
    const auto& stream = file ? d.files[i].stored : d.tensors[i - d.files.size()].stored;
    const std::string what = file ? bundle->name_of(d.files[i]) : bundle->name_of(d.tensors[i - d.files.size()]);
    return bundle->stream_stored(stream, what, [&](std::span<const std::byte> bytes) {
      if (!options.deep && options.against.empty()) progress.advance(static_cast<int64_t>(bytes.size()));
      return check_stop(options);
    });
  };
  TARE_RETURN_IF_ERROR(parallel_for(d.files.size() + d.tensors.size(), options.threads, check));
  if (!options.deep && options.against.empty()) return {};
  const auto take = [&](size_t file, int64_t offset, std::span<const std::byte> bytes) {
    return files[file] ? compare(*files[file], offset, bytes) : Status();
  };
  return restore(*bundle, progress, options, {.begin = {}, .end = {}, .take = take});
}

}  // namespace tare
