// Packing: a batch of tensors is counted and hashed (once from the disk), then coded band by band and written in order.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/base/sha256.hpp"
#include "core/base/parallel.hpp"
#include "core/bundle/tare_format.hpp"
#include "core/bundle/tare_output.hpp"
#include "core/bundle/tare_pack.hpp"
#include "core/bundle/tare_source.hpp"

namespace tare {
namespace {

constexpr int64_t kBatchBytes = int64_t{1} << 30, kReadBytes = 4 << 20;

Sha256Bytes bytes_of_hex(const std::string& hex) {
  Sha256Bytes out{};
  const auto digit = [](char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<uint8_t>(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
  return out;
}

// One band of a tensor: what is read, coded and written as one.
struct Band {
  size_t tensor;
  int64_t begin, bytes;  // in the tensor's plain bytes
  int64_t first_tile, tiles;
};
struct Pending {
  std::vector<std::byte> bytes;
  std::vector<TareStream::Piece> pieces;
  void add(size_t begin) {  // what lies from there on
    const auto piece = std::span(bytes).subspan(begin);
    pieces.push_back({static_cast<int64_t>(begin), XXH64(piece.data(), piece.size(), 0)});
  }
};

class Packer {
 public:
  Packer(const TareSource& source, OutputFile& out, Progress& progress, const PackOptions& options)
      : source_(source), out_(out), progress_(progress), options_(options) {}

  Status run(TareDirectory* d) {
    for (const auto& item : source_.items) {
      const auto index = static_cast<uint32_t>(d->files.size());
      TareFile f;
      f.name = item.name, f.bytes = item.bytes;
      f.kind = item.weights ? TareFile::Kind::weights : item.shard ? TareFile::Kind::shard : TareFile::Kind::plain;
      TARE_RETURN_IF_ERROR(copy(item, item.shard ? item.head_bytes : item.bytes, &f));
      d->files.push_back(std::move(f));
      const size_t first = d->tensors.size();
      for (const auto& t : item.tensors) {
        TareTensor out;
        out.name = t.name, out.dtype = t.dtype, out.shape = t.shape;
        out.file = index, out.begin = t.begin, out.bytes = t.bytes;
        d->tensors.push_back(std::move(out));
      }
      for (size_t begin = first; begin < d->tensors.size();) {
        size_t end = begin;
        for (int64_t bytes = 0; end < d->tensors.size() && (end == begin || bytes < kBatchBytes); ++end)
          bytes += d->tensors[end].bytes;
        const auto batch = std::span(d->tensors).subspan(begin, end - begin);
        TARE_RETURN_IF_ERROR(
            parallel_for(batch.size(), options_.threads, [&](size_t i) { return study(item, &batch[i]); }));
        TARE_RETURN_IF_ERROR(code(item, batch));
        begin = end;
      }
    }
    TARE_RETURN_IF_ERROR(end_stream());
    align();
    d->directory_offset = at_;
    return {};
  }

 private:
  void align() { at_ = (at_ + kTarePage - 1) / kTarePage * kTarePage; }
  Status check_stop() const {
    return options_.stop && options_.stop() ? failure(Code::cancelled, "packing was interrupted") : Status();
  }

  // Streams follow each other; the table of one is written when the next begins.
  Status begin_stream(TareStream* stream) {
    TARE_RETURN_IF_ERROR(end_stream());
    align();
    stream->offset = at_;
    stream_ = stream;
    return {};
  }
  Status append(Pending pending) {
    TARE_RETURN_IF_ERROR(out_.write(at_, pending.bytes));
    for (auto& piece : pending.pieces) piece.begin += stream_->bytes;
    table_.insert(table_.end(), pending.pieces.begin(), pending.pieces.end());
    stream_->bytes += static_cast<int64_t>(pending.bytes.size());
    at_ += static_cast<int64_t>(pending.bytes.size());
    return {};
  }
  Status end_stream() {
    if (stream_ == nullptr) return {};
    const auto bytes = std::as_bytes(std::span(table_));
    stream_->pieces = static_cast<int64_t>(table_.size());
    stream_->table_hash = table_.empty() ? 0 : XXH64(bytes.data(), bytes.size(), 0);
    TARE_RETURN_IF_ERROR(out_.write(stream_->table_offset(), bytes));
    at_ = stream_->end();
    stream_ = nullptr;
    table_.clear();
    return {};
  }

  Status copy(const TareSource::Item& item, int64_t bytes, TareFile* f) {
    TARE_RETURN_IF_ERROR(begin_stream(&f->stored));
    Sha256 sha;
    for (int64_t begin = 0; begin < bytes; begin += kTareRawPiece) {
      TARE_RETURN_IF_ERROR(check_stop());
      Pending p;
      p.bytes.resize(static_cast<size_t>(std::min(kTareRawPiece, bytes - begin)));
      TARE_RETURN_IF_ERROR(item.read(begin, p.bytes));
      sha.add(p.bytes);
      p.add(0);
      progress_.advance(static_cast<int64_t>(p.bytes.size()));
      TARE_RETURN_IF_ERROR(append(std::move(p)));
    }
    f->sha = bytes_of_hex(sha.finish());
    return end_stream();
  }

  // SHA-256 of the plain bytes, statistics, and the tables that follow.
  Status study(const TareSource::Item& item, TareTensor* t) const {
    const auto width = coded_width(t->dtype);
    PlaneHistograms histograms{};
    Sha256 sha;
    std::vector<std::byte> piece;
    for (int64_t begin = 0; begin < t->bytes; begin += kReadBytes) {
      TARE_RETURN_IF_ERROR(check_stop());
      piece.resize(static_cast<size_t>(std::min(kReadBytes, t->bytes - begin)));
      TARE_RETURN_IF_ERROR(item.read(t->begin + begin, piece));
      sha.add(piece);
      if (width) count_planes(*width, piece, &histograms);
    }
    t->sha = bytes_of_hex(sha.finish());
    t->grid = grid_for(t->shape);
    if (!width || t->bytes == 0 || !t->grid.is_bounded()) return {};
    t->tables = choose_tables(*width, histograms, t->grid);
    if (t->tables.any()) t->codec = TareTensor::Codec::exp_ans;
    return {};
  }

  static void add_bands(const TareTensor& t, size_t index, std::vector<Band>* bands) {
    if (t.codec == TareTensor::Codec::raw) {
      for (int64_t begin = 0; begin < t.bytes; begin += kTareRawPiece)
        bands->push_back({index, begin, std::min(kTareRawPiece, t.bytes - begin), 0, 0});
      return;
    }
    const TileGrid& g = t.grid;
    const int64_t row_bytes = g.columns * t.tables.width;
    for (int64_t e = 0, tile = 0; e < g.experts; ++e)
      for (int64_t r = 0; r < g.rows; r += g.tile_rows) {
        const int64_t rows = std::min<int64_t>(g.tile_rows, g.rows - r), begin = (e * g.rows + r) * row_bytes;
        const int64_t step = rows == 1 ? 64 : g.across();  // tiles; one long row is cut
        for (int64_t c = 0; c < g.across(); c += step) {
          const int64_t tiles = std::min(step, g.across() - c);
          const int64_t from = c * g.tile_columns, to = std::min(g.columns, (c + tiles) * g.tile_columns);
          const int64_t bytes = tiles == g.across() ? rows * row_bytes : (to - from) * t.tables.width;
          bands->push_back({index, begin + from * t.tables.width, bytes, tile, tiles});
          tile += tiles;
        }
      }
  }

  Status code(const TareSource::Item& item, std::span<TareTensor> batch) {
    std::vector<Band> bands;
    std::vector<std::unique_ptr<TileEncoder>> encoders;
    for (size_t i = 0; i < batch.size(); ++i) {
      add_bands(batch[i], i, &bands);
      encoders.push_back(batch[i].codec == TareTensor::Codec::raw ? nullptr
                                                                  : std::make_unique<TileEncoder>(batch[i].tables));
    }
    // Bands are taken in order and written in order; who finishes early waits, so that memory stays bounded.
    std::mutex mutex;
    std::condition_variable turn;
    size_t written = 0;
    bool failed = false;
    const auto work = [&](size_t i) -> Status {
      Pending p;
      Status status = check_stop();
      if (status.ok()) status = encode(item, batch, encoders, bands[i], &p);
      std::unique_lock lock(mutex);
      turn.wait(lock, [&] { return written == i || failed; });
      if (status.ok() && !failed) status = commit(bands, i, batch, std::move(p));
      failed |= !status.ok();
      ++written;
      turn.notify_all();
      return status;
    };
    TARE_RETURN_IF_ERROR(parallel_for(bands.size(), options_.threads, work));
    return end_stream();
  }

  static Status encode(const TareSource::Item& item, std::span<const TareTensor> batch,
                       const std::vector<std::unique_ptr<TileEncoder>>& encoders, const Band& band, Pending* p) {
    const TareTensor& t = batch[band.tensor];
    std::vector<std::byte> plain(static_cast<size_t>(band.bytes));
    TARE_RETURN_IF_ERROR(item.read(t.begin + band.begin, plain));
    if (band.tiles == 0) {
      p->bytes = std::move(plain);
      p->add(0);
      return {};
    }
    const auto first = t.grid.tile(band.first_tile);
    const int64_t width = t.tables.width;
    const int64_t stride = band.bytes / first.rows;
    p->bytes.reserve(plain.size());
    for (int64_t i = 0; i < band.tiles; ++i) {
      const auto tile = t.grid.tile(band.first_tile + i);
      const size_t begin = p->bytes.size();
      encoders[band.tensor]->encode(plain.data() + (tile.column - first.column) * width, stride, tile.rows,
                                    tile.columns, &p->bytes);
      p->add(begin);
    }
    return {};
  }

  Status commit(const std::vector<Band>& bands, size_t i, std::span<TareTensor> batch, Pending p) {
    TareTensor& t = batch[bands[i].tensor];
    if (i == 0 || bands[i - 1].tensor != bands[i].tensor) TARE_RETURN_IF_ERROR(begin_stream(&t.stored));
    progress_.advance(bands[i].bytes);
    return append(std::move(p));
  }

  const TareSource& source_;
  OutputFile& out_;
  Progress& progress_;
  const PackOptions& options_;
  int64_t at_ = kTarePage;
  TareStream* stream_ = nullptr;  // that is being written
  std::vector<TareStream::Piece> table_;
};

}  // namespace

Result<PackReport> pack_tare(const std::string& path, const std::string& out,
                             std::span<const ModelFamily* const> families, const PackOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  TARE_ASSIGN_OR_RETURN(const TareSource source, open_tare_source(path, families, options.exclude));
  TARE_ASSIGN_OR_RETURN(const auto output, OutputFile::create(out));
  PackReport report;
  report.left_out = source.left_out, report.info = source.info;
  for (const auto& item : source.items) report.plain_bytes += item.bytes;
  TareDirectory directory;
  directory.info = source.info;
  {
    Progress progress("packing", report.plain_bytes, options.show_progress && Progress::stderr_is_terminal());
    TARE_RETURN_IF_ERROR(Packer(source, *output, progress, options).run(&directory));
  }
  const std::string printed = print_tare_directory(directory);
  directory.file_bytes = directory.directory_offset + static_cast<int64_t>(printed.size());
  const std::string header = print_tare_header(directory, printed);
  TARE_RETURN_IF_ERROR(output->write(directory.directory_offset, std::as_bytes(std::span(printed))));
  TARE_RETURN_IF_ERROR(output->write(0, std::as_bytes(std::span(header))));
  TARE_RETURN_IF_ERROR(output->finish());
  report.bundle_bytes = directory.file_bytes;
  for (const auto& t : directory.tensors) report.weight_bytes += t.bytes, report.stored_weight_bytes += t.stored.bytes;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace tare
