// An open .tare bundle: tiles and files are read by position and checked against their checksums. Const and
// [any thread].
#pragma once
#include <atomic>
#include <functional>
#include <memory>

#include "core/base/file.hpp"
#include "core/bundle/tare_format.hpp"

namespace tare {

class TareBundle {
 public:
  class Reader;
  static Result<std::shared_ptr<const TareBundle>> open(const std::string& path);
  const TareDirectory& directory() const noexcept { return directory_; }
  const std::string& path() const noexcept { return file_->path(); }
  const std::shared_ptr<const File>& file() const noexcept { return file_; }
  const TareFile* find_file(std::string_view name) const noexcept;
  std::string name_of(const TareTensor& tensor) const;  // "m.tare: tensor 'x'", for messages
  std::string name_of(const TareFile& file) const;

  using Take = std::function<Status(std::span<const std::byte>)>;
  // Rows [row_begin, row_end) and columns [column_begin, column_end) of a tensor as matrices (experts one below the
  // other), packed, into `out`. Only tiles that are touched are read. Corrupt names the tensor. Not for laid-out ones.
  Status read_block(const TareTensor& tensor, int64_t row_begin, int64_t row_end, int64_t column_begin,
                    int64_t column_end, std::span<std::byte> out) const;
  // Bytes [begin, begin + out.size()) of a stream in pieces of 1 MiB; `what` is for messages.
  Status read_range(const TareStream& stream, const std::string& what, int64_t begin, std::span<std::byte> out) const;
  // The stored content of a file entry (a shard's is its head); exhausted above `most` bytes.
  Result<std::string> read_content(const TareFile& file, int64_t most) const;
  // Plain bytes of a tensor from its first to its last, a band at a time, checked.
  Status stream_tensor(const TareTensor& tensor, const Take& take) const;
  // The stored bytes of a stream a piece at a time, checked; its table too.
  Status stream_stored(const TareStream& stream, const std::string& what, const Take& take) const;
  // Entries [begin, end] of a stream's table; the last one's begin is where piece end - 1 ends.
  Result<std::vector<TareStream::Piece>> pieces(const TareStream& stream, int64_t begin, int64_t end,
                                                const std::string& what) const;
  // All of them and the end, checked against the table's checksum.
  Result<std::vector<TareStream::Piece>> table(const TareStream& stream, const std::string& what) const;
  // The bytes of pieces [first, last) of that table, each checked.
  Status read_pieces(const TareStream& stream, const std::string& what, std::span<const TareStream::Piece> table,
                     int64_t first, int64_t last, std::byte* out) const;
  int64_t bytes_read() const noexcept { return bytes_read_.load(std::memory_order_relaxed); }  // headers left out

 private:
  struct Scratch;
  TareBundle() = default;
  Status read_block(const TareTensor& tensor, int64_t row_begin, int64_t row_end, int64_t column_begin,
                    int64_t column_end, std::span<std::byte> out, Scratch* scratch) const;
  Status read(int64_t offset, std::span<std::byte> out) const;
  // Pieces of `bytes` bytes each, one behind the other in the file, by their entries; `first` is the number of the
  // first.
  Status read_whole(int64_t offset, std::byte* to, int64_t bytes, std::span<const TareStream::Piece> table,
                    const std::string& what, int64_t first) const;
  std::shared_ptr<const File> file_;
  TareDirectory directory_;
  mutable std::atomic<int64_t> bytes_read_ = 0;
};

}  // namespace tare
