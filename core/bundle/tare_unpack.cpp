// Restoring a folder from a bundle, and checking a bundle.
#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <numeric>

#include "core/base/buffer.hpp"
#include "core/base/parallel.hpp"
#include "core/base/partial_folder.hpp"
#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/base/sha256.hpp"
#include "core/bundle/output_run.hpp"
#include "core/bundle/tare_pack.hpp"
#include "core/bundle/tare_reader.hpp"

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

// Where the restored bytes of a file entry or a tensor go, in order.
struct Sink {
  virtual ~Sink() = default;
  virtual Status take(std::span<const std::byte> bytes) = 0;
  virtual Status end() { return {}; }
};
// A sink for what begins there, or null. Calls for different files come from different threads.
using OpenSink = std::function<Result<std::unique_ptr<Sink>>(size_t file, int64_t offset)>;

// One file entry or tensor on its way, SHA-256 checked. Laid-out tensors are checked as they are stored.
class Restoring {
 public:
  Restoring(const TareBundle& bundle, size_t index, const OpenSink& open) {
    const TareDirectory& d = bundle.directory();
    if (index < d.files.size()) {
      const TareFile& f = d.files[index];
      file_ = static_cast<uint32_t>(index), sha_ = &f.sha, what_ = bundle.name_of(f);
      reader_ = std::make_unique<TareBundle::Reader>(bundle, f.stored, what_);
    } else {
      const TareTensor& t = d.tensors[index - d.files.size()];
      file_ = t.file, begin_ = t.begin, sha_ = &t.sha, what_ = bundle.name_of(t);
      reader_ = std::make_unique<TareBundle::Reader>(bundle, t);
      const int64_t rows = std::min<int64_t>(t.grid.rows, t.grid.tile_rows);
      is_wide_ = t.codec == TareTensor::Codec::exp_ans && rows * t.grid.columns * t.tables.width > kNarrow;
    }
    open_ = &open;
  }
  // The next bytes, empty at the end; they must be hashed (if `is_hashed`) before they are put.
  Result<std::span<const std::byte>> next() {
    if (!sink_ && open_ != nullptr) {
      if (is_hashed()) {
        TARE_ASSIGN_OR_RETURN(sink_, (*open_)(file_, begin_));
      }
      open_ = nullptr;
    }
    return reader_->next();
  }
  Status put(std::span<const std::byte> bytes) { return sink_ ? sink_->take(bytes) : Status(); }
  Status end() {
    if (is_hashed() && sha.finish() != hex(*sha_))
      return failure(Code::corrupt, what_, " is damaged: its SHA-256 does not match");
    return sink_ ? sink_->end() : Status();
  }
  bool is_hashed() const { return file_ != TareTensor::kNoFile; }
  bool is_wide() const { return is_wide_; }  // its bands are large: not beside another one
  Sha256 sha;

 private:
  static constexpr int64_t kNarrow = 4 << 20;
  uint32_t file_ = TareTensor::kNoFile;
  int64_t begin_ = 0;
  bool is_wide_ = false;
  const Sha256Bytes* sha_ = nullptr;
  std::string what_;
  const OpenSink* open_ = nullptr;
  std::unique_ptr<TareBundle::Reader> reader_;
  std::unique_ptr<Sink> sink_;
};

// Every file entry and tensor of the bundle once. A thread restores two in turn as long as there are enough for the
// others: two are hashed faster than one after the other.
Status restore(const TareBundle& bundle, Progress& progress, const TareWork& work, const OpenSink& open) {
  const TareDirectory& d = bundle.directory();
  const auto bytes_of = [&](size_t i) {
    return i < d.files.size() ? d.files[i].stored.bytes : d.tensors[i - d.files.size()].bytes;
  };
  std::vector<size_t> order(d.files.size() + d.tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return bytes_of(a) > bytes_of(b); });
  const auto threads = static_cast<size_t>(threads_of(work.threads));
  std::atomic<size_t> next = 0;
  return parallel_for(std::min(threads, order.size()), work.threads, [&](size_t) -> Status {
    std::array<std::unique_ptr<Restoring>, 2> both;
    for (;;) {
      for (size_t slot = 0; slot < 2; ++slot) {
        const auto& other = both[1 - slot];
        if (both[slot] || (other && (other->is_wide() || !other->is_hashed() || next + threads > order.size())))
          continue;
        if (const size_t i = next.fetch_add(1); i < order.size())
          both[slot] = std::make_unique<Restoring>(bundle, order[i], open);
      }
      auto &a = both[0], &b = both[1];
      if (!a && !b) return {};
      TARE_RETURN_IF_ERROR(check_stop(work));
      std::array<std::span<const std::byte>, 2> bytes;
      for (size_t slot = 0; slot < 2; ++slot)
        if (both[slot]) {
          TARE_ASSIGN_OR_RETURN(bytes[slot], both[slot]->next());
        }
      if (a && b && a->is_hashed() && b->is_hashed())
        Sha256::add_both(a->sha, bytes[0], b->sha, bytes[1]);
      else
        for (size_t slot = 0; slot < 2; ++slot)
          if (both[slot] && both[slot]->is_hashed()) both[slot]->sha.add(bytes[slot]);
      for (size_t slot = 0; slot < 2; ++slot) {
        if (!both[slot]) continue;
        progress.advance(static_cast<int64_t>(bytes[slot].size()));
        if (!bytes[slot].empty()) {
          TARE_RETURN_IF_ERROR(both[slot]->put(bytes[slot]));
          continue;
        }
        TARE_RETURN_IF_ERROR(both[slot]->end());
        both[slot].reset();
      }
    }
  });
}

int64_t plain_bytes(const TareDirectory& d) {
  int64_t bytes = 0;
  for (const auto& f : d.files) bytes += f.bytes;
  for (const auto& t : d.tensors)
    if (t.file == TareTensor::kNoFile) bytes += t.stored.bytes;
  return bytes;
}

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

// Compares with a file that is there.
class Comparing : public Sink {
 public:
  Comparing(std::shared_ptr<const File> file, int64_t offset) : file_(std::move(file)), offset_(offset) {}
  Status take(std::span<const std::byte> bytes) override {
    const auto other = buffer_.fit(bytes.size());
    TARE_RETURN_IF_ERROR(file_->read(offset_, other));
    const auto differs = std::mismatch(bytes.begin(), bytes.end(), other.begin()).first;
    if (differs != bytes.end())
      return failure(Code::corrupt, printable(file_->path(), 400), ": differs from the bundle at byte ",
                     offset_ + (differs - bytes.begin()));
    offset_ += static_cast<int64_t>(bytes.size());
    return {};
  }

 private:
  std::shared_ptr<const File> file_;
  int64_t offset_;
  Buffer buffer_;
};

// Writes into a shard that others write too, or a plain file of its own, which is finished at the end.
class Writing : public Sink {
 public:
  Writing(OutputFile* shard, int64_t offset) : run_(shard, offset) {}
  explicit Writing(std::unique_ptr<OutputFile> own) : own_(std::move(own)), run_(own_.get(), 0) {}
  Status take(std::span<const std::byte> bytes) override { return run_.add(bytes); }
  Status end() override {
    TARE_RETURN_IF_ERROR(run_.end());
    return own_ ? own_->finish() : Status();
  }

 private:
  std::unique_ptr<OutputFile> own_;
  OutputRun run_;
};

}  // namespace

Status unpack_tare(const std::string& path, const std::string& out, const TareWork& work) {
  TARE_ASSIGN_OR_RETURN(const auto bundle, TareBundle::open(path));
  const TareDirectory& d = bundle->directory();
  for (const TareTensor& t : d.tensors)
    if (t.codec == TareTensor::Codec::layout)
      return failure(Code::unsupported, path, ": is a serving bundle, its weights lie as ",
                     printable(t.laid.layout, 80), "; unpack the distribution bundle that it was made from");
  TARE_ASSIGN_OR_RETURN(const auto folder, PartialFolder::create(out));
  const auto create = [&](size_t i) -> Result<std::unique_ptr<OutputFile>> {
    const std::string to = join_path(folder->path(), d.files[i].name);
    std::error_code error;
    fs::create_directories(folder_name(to), error);
    if (error) return invalid(folder_name(to), ": cannot be made: ", error.message());
    return OutputFile::create(to);
  };
  std::vector<std::unique_ptr<OutputFile>> shards(d.files.size());
  for (size_t i = 0; i < d.files.size(); ++i)
    if (d.files[i].kind != TareFile::Kind::plain) {
      TARE_ASSIGN_OR_RETURN(shards[i], create(i));
    }
  const OpenSink open = [&](size_t i, int64_t offset) -> Result<std::unique_ptr<Sink>> {
    if (shards[i]) return std::unique_ptr<Sink>(std::make_unique<Writing>(shards[i].get(), offset));
    TARE_ASSIGN_OR_RETURN(auto own, create(i));
    return std::unique_ptr<Sink>(std::make_unique<Writing>(std::move(own)));
  };
  {
    Progress progress("unpacking", plain_bytes(d), work.show_progress && Progress::stderr_is_terminal());
    TARE_RETURN_IF_ERROR(restore(*bundle, progress, work, open));
  }
  for (const auto& shard : shards)
    if (shard) TARE_RETURN_IF_ERROR(shard->finish());
  return folder->finish();
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
  const OpenSink open = [&](size_t file, int64_t offset) -> Result<std::unique_ptr<Sink>> {
    if (!files[file]) return std::unique_ptr<Sink>();
    return std::unique_ptr<Sink>(std::make_unique<Comparing>(files[file], offset));
  };
  return restore(*bundle, progress, options, open);
}

}  // namespace tare
