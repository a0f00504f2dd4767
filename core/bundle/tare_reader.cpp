#include "core/bundle/tare_reader.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "core/bundle/tare_scratch.hpp"

namespace tare {

struct TareBundle::Reader::State {
  Buffer buffer;
  Scratch scratch;
  // Pieces: the entries [first, first + size - 1) of the table.
  std::vector<TareStream::Piece> entries;
  int64_t first = 0, piece = 0;
  XXH64_state_t table;
  // Bands: the next one's place.
  int64_t expert = 0, row = 0, column = 0;
};

TareBundle::Reader::Reader(const TareBundle& bundle, const TareStream& stream, std::string what)
    : bundle_(bundle), stream_(stream), what_(std::move(what)), state_(std::make_unique<State>()) {
  XXH64_reset(&state_->table, 0);
}
TareBundle::Reader::Reader(const TareBundle& bundle, const TareTensor& tensor)
    : Reader(bundle, tensor.stored, bundle.name_of(tensor)) {
  if (tensor.codec == TareTensor::Codec::exp_ans) tensor_ = &tensor;
}
TareBundle::Reader::~Reader() = default;

Result<std::span<const std::byte>> TareBundle::Reader::next() {
  return tensor_ == nullptr ? next_piece() : next_band();
}

Result<std::span<const std::byte>> TareBundle::Reader::next_piece() {
  constexpr int64_t kPieces = 4096;  // whose entries are held at once
  State& s = *state_;
  while (s.piece < stream_.pieces) {
    if (s.piece == s.first + std::max<int64_t>(0, static_cast<int64_t>(s.entries.size()) - 1)) {
      s.first = s.piece;
      const int64_t end = std::min(stream_.pieces, s.first + kPieces);
      TARE_ASSIGN_OR_RETURN(s.entries, bundle_.pieces(stream_, s.first, end, what_));
      XXH64_update(&s.table, s.entries.data(), static_cast<size_t>(end - s.first) * 16);
    }
    const auto* const entry = &s.entries[static_cast<size_t>(s.piece - s.first)];
    const int64_t bytes = entry[1].begin - entry->begin;
    if (bytes > kTareMostPiece)
      return failure(Code::corrupt, what_, " is damaged: piece ", s.piece, " has ", bytes, " bytes");
    const auto piece = s.buffer.fit(static_cast<size_t>(bytes));
    TARE_RETURN_IF_ERROR(bundle_.read(stream_.offset + entry->begin, piece));
    TARE_RETURN_IF_ERROR(check_piece(piece, entry->hash, what_, s.piece));
    ++s.piece;
    if (!piece.empty()) return std::span<const std::byte>(piece);
  }
  if (XXH64_digest(&s.table) != stream_.table_hash && stream_.pieces > 0)
    return failure(Code::corrupt, what_, " is damaged: its table of pieces does not match its checksum");
  return std::span<const std::byte>();
}

Result<std::span<const std::byte>> TareBundle::Reader::next_band() {
  State& s = *state_;
  const TileGrid& g = tensor_->grid;
  if (s.expert == g.experts || g.elements() == 0) return std::span<const std::byte>();
  const int64_t rows = std::min<int64_t>(g.tile_rows, g.rows - s.row);
  const int64_t step = rows == 1 ? int64_t{64} * g.tile_columns : g.columns;  // one long row: a part of it
  const int64_t end = std::min(g.columns, s.column + step), row = s.expert * g.rows + s.row;
  const auto band = s.buffer.fit(static_cast<size_t>(rows * (end - s.column) * tensor_->tables.width));
  TARE_RETURN_IF_ERROR(bundle_.read_block(*tensor_, row, row + rows, s.column, end, band, &s.scratch));
  s.column = end;
  if (s.column == g.columns) s.column = 0, s.row += rows;
  if (s.row == g.rows) s.row = 0, ++s.expert;
  return std::span<const std::byte>(band);
}

Status TareBundle::stream_stored(const TareStream& stream, const std::string& what, const Take& take) const {
  Reader reader(*this, stream, what);
  for (;;) {
    TARE_ASSIGN_OR_RETURN(const auto bytes, reader.next());
    if (bytes.empty()) return {};
    TARE_RETURN_IF_ERROR(take(bytes));
  }
}
Status TareBundle::stream_tensor(const TareTensor& tensor, const Take& take) const {
  Reader reader(*this, tensor);
  for (;;) {
    TARE_ASSIGN_OR_RETURN(const auto bytes, reader.next());
    if (bytes.empty()) return {};
    TARE_RETURN_IF_ERROR(take(bytes));
  }
}

}  // namespace tare
