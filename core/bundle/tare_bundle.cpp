#include "core/bundle/tare_bundle.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/printable.hpp"
#include "core/bundle/piece_hash.hpp"
#include "core/bundle/tare_scratch.hpp"

namespace tare {
namespace {

constexpr int64_t kAtOnce = 8;       // pieces of a range that are read and checked at once
constexpr int64_t kStep = 64 << 10;  // of a long piece
constexpr auto kStripe = static_cast<int64_t>(PieceHashes::kStep);

Status bad_piece(const std::string& what, int64_t index) {
  return failure(Code::corrupt, what, " is damaged: piece ", index, " does not match its checksum");
}

}  // namespace

Result<std::shared_ptr<const TareBundle>> TareBundle::open(const std::string& path) {
  auto bundle = std::shared_ptr<TareBundle>(new TareBundle);
  TARE_ASSIGN_OR_RETURN(bundle->file_, File::open(path));
  const int64_t file_bytes = bundle->file_->bytes();
  std::string page(static_cast<size_t>(std::min(file_bytes, kTarePage)), '\0');
  TARE_RETURN_IF_ERROR(bundle->file_->read(0, std::as_writable_bytes(std::span(page))));
  TARE_ASSIGN_OR_RETURN(const TareHeader header, parse_tare_header(page, file_bytes, path));
  std::string bytes(static_cast<size_t>(header.directory_bytes), '\0');
  TARE_RETURN_IF_ERROR(bundle->file_->read(header.directory_offset, std::as_writable_bytes(std::span(bytes))));
  TARE_ASSIGN_OR_RETURN(bundle->directory_, parse_tare_directory(bytes, header, path));
  return std::shared_ptr<const TareBundle>(std::move(bundle));
}
const TareFile* TareBundle::find_file(std::string_view name) const noexcept {
  const auto& files = directory_.files;
  const auto at = std::find_if(files.begin(), files.end(), [&](const TareFile& f) { return f.name == name; });
  return at == files.end() ? nullptr : &*at;
}
std::string TareBundle::name_of(const TareTensor& t) const {
  return path() + ": tensor '" + printable(t.name, 120) + "'";
}
std::string TareBundle::name_of(const TareFile& f) const { return path() + ": file '" + printable(f.name, 120) + "'"; }

Status TareBundle::read(int64_t offset, std::span<std::byte> out) const {
  TARE_RETURN_IF_ERROR(file_->read(offset, out));
  bytes_read_.fetch_add(static_cast<int64_t>(out.size()), std::memory_order_relaxed);
  return {};
}

Status check_piece(std::span<const std::byte> piece, uint64_t hash, const std::string& what, int64_t index) {
  if (XXH64(piece.data(), piece.size(), 0) == hash) return {};
  return bad_piece(what, index);
}

Result<std::vector<TareStream::Piece>> TareBundle::pieces(const TareStream& stream, int64_t begin, int64_t end,
                                                          const std::string& what) const {
  // The entry behind the last piece is not stored: it would say where the bytes end.
  const bool last = end == stream.pieces;
  std::vector<TareStream::Piece> out(static_cast<size_t>(end - begin + 1), {stream.bytes, 0});
  const auto stored = std::span(out).first(out.size() - (last ? 1 : 0));
  TARE_RETURN_IF_ERROR(read(stream.table_offset() + begin * 16, std::as_writable_bytes(stored)));
  int64_t at = begin == 0 ? 0 : out.front().begin;
  bool good = out.front().begin == at && at >= 0;
  for (const auto& p : out) good = good && p.begin >= at && p.begin <= stream.bytes, at = p.begin;
  if (!good) return failure(Code::corrupt, what, " is damaged: its table of pieces is out of order");
  return out;
}

Result<std::vector<TareStream::Piece>> TareBundle::table(const TareStream& stream, const std::string& what) const {
  TARE_ASSIGN_OR_RETURN(auto entries, pieces(stream, 0, stream.pieces, what));
  if (stream.pieces > 0 && XXH64(entries.data(), static_cast<size_t>(stream.pieces) * 16, 0) != stream.table_hash)
    return failure(Code::corrupt, what, " is damaged: its table of pieces does not match its checksum");
  return entries;
}

Status TareBundle::read_pieces(const TareStream& stream, const std::string& what,
                               std::span<const TareStream::Piece> table, int64_t first, int64_t last,
                               std::byte* out) const {
  // A few pieces at a time, so that they still lie in the thread's cache when they are checked.
  const auto at = [&](int64_t i) { return table[static_cast<size_t>(i)].begin; };
  for (int64_t i = first; i < last; i += kAtOnce) {
    const int64_t end = std::min(last, i + kAtOnce);
    std::byte* const to = out + (at(i) - at(first));
    TARE_RETURN_IF_ERROR(read(stream.offset + at(i), {to, static_cast<size_t>(at(end) - at(i))}));
    std::array<std::span<const std::byte>, kAtOnce> pieces;
    std::array<uint64_t, kAtOnce> hashes{};
    const auto count = static_cast<size_t>(end - i);
    for (int64_t p = i; p < end; ++p)
      pieces[static_cast<size_t>(p - i)] = {to + (at(p) - at(i)), static_cast<size_t>(at(p + 1) - at(p))};
    hash_pieces(std::span(pieces).first(count), std::span(hashes).first(count));
    for (int64_t p = i; p < end; ++p)
      if (hashes[static_cast<size_t>(p - i)] != table[static_cast<size_t>(p)].hash) return bad_piece(what, p);
  }
  return {};
}

Result<std::string> TareBundle::read_content(const TareFile& file, int64_t most) const {
  const std::string what = name_of(file);
  if (file.stored.bytes > most)
    return failure(Code::exhausted, what, " has ", file.stored.bytes, " bytes, at most ", most, " are accepted");
  std::string out;
  TARE_RETURN_IF_ERROR(stream_stored(file.stored, what, [&](std::span<const std::byte> bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return Status();
  }));
  return out;
}

Status TareBundle::read_range(const TareStream& stream, const std::string& what, int64_t begin,
                              std::span<std::byte> out) const {
  if (out.empty()) return {};
  const int64_t end = begin + static_cast<int64_t>(out.size());
  const int64_t first = begin / kTareRawPiece, last = (end - 1) / kTareRawPiece;
  TARE_ASSIGN_OR_RETURN(const auto entries, pieces(stream, first, last + 1, what));
  const auto entry_of = [&](int64_t p) { return entries[static_cast<size_t>(p - first)]; };
  for (int64_t p = first; p <= last; ++p)
    if (entry_of(p).begin != p * kTareRawPiece)
      return failure(Code::corrupt, what, " is damaged: piece ", p, " begins at ", entry_of(p).begin);
  Buffer buffer;
  for (int64_t p = first; p <= last;) {
    const int64_t at = p * kTareRawPiece, bytes = std::min(kTareRawPiece, stream.bytes - at);
    if (begin <= at && at + bytes <= end) {  // whole, and perhaps others behind it: read where they belong
      const int64_t more = bytes < kTareRawPiece ? 0 : (end - at) / kTareRawPiece - 1;
      const int64_t count = std::min(1 + more, static_cast<int64_t>(PieceHashes::kMost));
      TARE_RETURN_IF_ERROR(
          read_whole(stream.offset + at, out.data() + (at - begin), bytes,
                     std::span(entries).subspan(static_cast<size_t>(p - first), static_cast<size_t>(count)), what, p));
      p += count;
      continue;
    }
    const auto piece = buffer.fit(static_cast<size_t>(bytes));
    TARE_RETURN_IF_ERROR(read(stream.offset + at, piece));
    TARE_RETURN_IF_ERROR(check_piece(piece, entry_of(p).hash, what, p));
    const int64_t from = std::max(begin, at), to = std::min(end, at + bytes);
    std::memcpy(out.data() + (from - begin), piece.data() + (from - at), static_cast<size_t>(to - from));
    ++p;
  }
  return {};
}

// A little of each piece in turn: what was read is checked while it lies in the thread's nearest cache.
Status TareBundle::read_whole(int64_t offset, std::byte* to, int64_t bytes, std::span<const TareStream::Piece> table,
                              const std::string& what, int64_t first) const {
  PieceHashes hashes;
  std::array<const std::byte*, PieceHashes::kMost> next{};
  const auto step_of = [&](int64_t at) { return std::min(kStep, bytes - at) / kStripe * kStripe; };
  int64_t done = 0;
  for (int64_t step; (step = step_of(done)) > 0; done += step) {
    for (size_t i = 0; i < table.size(); ++i) {
      const int64_t at = static_cast<int64_t>(i) * bytes + done;
      TARE_RETURN_IF_ERROR(read(offset + at, {to + at, static_cast<size_t>(step)}));
      next[i] = to + at;
    }
    hashes.add(std::span(next).first(table.size()), static_cast<size_t>(step));
  }
  for (size_t i = 0; i < table.size(); ++i) {
    const int64_t at = static_cast<int64_t>(i) * bytes + done;
    const std::span rest(to + at, static_cast<size_t>(bytes - done));
    if (!rest.empty()) TARE_RETURN_IF_ERROR(read(offset + at, rest));
    if (hashes.finish(i, rest) != table[i].hash) return bad_piece(what, first + static_cast<int64_t>(i));
  }
  return {};
}

namespace {

// A rectangle of the matrices that is wanted, and where it goes.
struct Wanted {
  int64_t row_begin, row_end, column_begin, column_end, row_bytes;
  std::byte* out;
  int64_t width;
  std::byte* at(int64_t row, int64_t column) const {
    return out + (row - row_begin) * row_bytes + (column - column_begin) * width;
  }
};

// Tile by tile; one that is wanted as a whole is decoded where it belongs.
Status decode_into(const TileDecoder& decoder, std::span<const std::byte> in, const TileGrid& grid,
                   const TileGrid::Tile& tile, const Wanted& w, Buffer* buffer) {
  const int64_t top = tile.expert * grid.rows + tile.row, bottom = top + tile.rows, right = tile.column + tile.columns;
  if (top >= w.row_begin && bottom <= w.row_end && tile.column >= w.column_begin && right <= w.column_end)
    return decoder.decode(in, tile.rows, tile.columns, w.at(top, tile.column), w.row_bytes);
  const int64_t tile_bytes = tile.columns * w.width;
  const auto plain = buffer->fit(static_cast<size_t>(tile.rows * tile_bytes));
  TARE_RETURN_IF_ERROR(decoder.decode(in, tile.rows, tile.columns, plain.data(), tile_bytes));
  const int64_t from = std::max(tile.column, w.column_begin), to = std::min(right, w.column_end);
  for (int64_t row = std::max(top, w.row_begin); row < std::min(bottom, w.row_end); ++row)
    std::memcpy(w.at(row, from), plain.data() + (row - top) * tile_bytes + (from - tile.column) * w.width,
                static_cast<size_t>((to - from) * w.width));
  return {};
}

}  // namespace

Status TareBundle::read_block(const TareTensor& t, int64_t row_begin, int64_t row_end, int64_t column_begin,
                              int64_t column_end, std::span<std::byte> out) const {
  Scratch scratch;
  return read_block(t, row_begin, row_end, column_begin, column_end, out, &scratch);
}
Status TareBundle::read_block(const TareTensor& t, int64_t row_begin, int64_t row_end, int64_t column_begin,
                              int64_t column_end, std::span<std::byte> out, Scratch* scratch) const {
  const TileGrid& g = t.grid;
  const std::string what = name_of(t);
  if (row_begin >= row_end || column_begin >= column_end || out.empty()) return {};
  if (t.bytes == 0 || t.bytes % g.elements() != 0 || t.codec == TareTensor::Codec::layout)
    return failure(Code::unsupported, what, " cannot be read in blocks");
  const int64_t width = t.bytes / g.elements(), row_bytes = (column_end - column_begin) * width;
  if (t.codec == TareTensor::Codec::raw) {
    if (column_end - column_begin == g.columns || row_end - row_begin == 1)
      return read_range(t.stored, what, (row_begin * g.columns + column_begin) * width, out);
    // A cut by columns takes its part of every row: checksums cover whole pieces, so `verify` alone checks it.
    for (int64_t r = row_begin; r < row_end; ++r)
      TARE_RETURN_IF_ERROR(
          read(t.stored.offset + (r * g.columns + column_begin) * width,
               out.subspan(static_cast<size_t>((r - row_begin) * row_bytes), static_cast<size_t>(row_bytes))));
    return {};
  }
  if (!scratch->decoder) scratch->decoder.emplace(t.tables);
  const Wanted wanted{row_begin, row_end, column_begin, column_end, row_bytes, out.data(), width};
  const int64_t first = column_begin / g.tile_columns, last = (column_end - 1) / g.tile_columns + 1;
  for (int64_t r = row_begin; r < row_end;) {
    const int64_t expert = r / g.rows, band = r % g.rows / g.tile_rows;
    const int64_t begin = (expert * g.down() + band) * g.across() + first, end = begin + last - first;
    TARE_ASSIGN_OR_RETURN(const auto entries, pieces(t.stored, begin, end, what));
    const int64_t bytes = entries.back().begin - entries.front().begin;
    if (bytes > g.most_tile_bytes(static_cast<int>(width)) * (end - begin))
      return failure(Code::corrupt, what, " is damaged: ", end - begin, " tiles have ", bytes, " bytes");
    const auto coded = scratch->coded.fit(static_cast<size_t>(bytes));
    TARE_RETURN_IF_ERROR(read(t.stored.offset + entries.front().begin, coded));
    for (int64_t i = begin; i < end; ++i) {
      const auto& entry = entries[static_cast<size_t>(i - begin)];
      const auto in =
          coded.subspan(static_cast<size_t>(entry.begin - entries.front().begin),
                        static_cast<size_t>(entries[static_cast<size_t>(i - begin) + 1].begin - entry.begin));
      TARE_RETURN_IF_ERROR(check_piece(in, entry.hash, what, i));
      TARE_RETURN_IF_ERROR(decode_into(*scratch->decoder, in, g, g.tile(i), wanted, &scratch->plain).in(what));
    }
    r = expert * g.rows + std::min(g.rows, (band + 1) * g.tile_rows);
  }
  return {};
}

}  // namespace tare
