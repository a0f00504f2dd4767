// Packing: a batch of tensors is counted and hashed (once from the disk), then coded band by band and written in order.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "core/base/buffer.hpp"
#include "core/base/parallel.hpp"
#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/base/sha256.hpp"
#include "core/bundle/output_run.hpp"
#include "core/bundle/tare_format.hpp"
#include "core/bundle/tare_pack.hpp"
#include "core/bundle/tare_source.hpp"

namespace tare {
namespace {

constexpr int64_t kBatchBytes = int64_t{1} << 30;
constexpr int64_t kReadBytes = 256 << 10;  // stay in the core's cache from the kernel's copy to the last look

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
// What coding a band needs and makes; used again for other bands.
struct Pending {
  Buffer plain_buffer, coded_buffer;
  std::span<const std::byte> bytes;  // what is written, in one of the two
  std::vector<TareStream::Piece> pieces;
  void add(std::span<const std::byte> piece) {  // that lies in `bytes`
    pieces.push_back({piece.data() - bytes.data(), XXH64(piece.data(), piece.size(), 0)});
  }
};

class Packer {
 public:
  Packer(const TareSource& source, OutputRun& out, Progress& progress, const PackOptions& options)
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
        TARE_RETURN_IF_ERROR(study(item, batch));
        TARE_RETURN_IF_ERROR(code(item, batch));
        begin = end;
      }
    }
    TARE_RETURN_IF_ERROR(end_stream());
    TARE_RETURN_IF_ERROR(align(kTarePage));
    d->directory_offset = out_.offset();
    return {};
  }

 private:
  Status align(int64_t unit) {
    const int64_t at = out_.offset();
    return out_.add_zeros((at + unit - 1) / unit * unit - at);
  }
  Status check_stop() const {
    return options_.stop && options_.stop() ? failure(Code::cancelled, "packing was interrupted") : Status();
  }

  // Streams follow each other; the table of one is written when the next begins.
  Status begin_stream(TareStream* stream) {
    TARE_RETURN_IF_ERROR(end_stream());
    TARE_RETURN_IF_ERROR(align(kTarePage));
    stream->offset = out_.offset();
    stream_ = stream;
    return {};
  }
  Status append(const Pending& pending) {
    for (const auto& piece : pending.pieces) table_.push_back({piece.begin + stream_->bytes, piece.hash});
    stream_->bytes += static_cast<int64_t>(pending.bytes.size());
    return out_.add(pending.bytes);
  }
  Status end_stream() {
    if (stream_ == nullptr) return {};
    const auto bytes = std::as_bytes(std::span(table_));
    stream_->pieces = static_cast<int64_t>(table_.size());
    stream_->table_hash = table_.empty() ? 0 : XXH64(bytes.data(), bytes.size(), 0);
    TARE_RETURN_IF_ERROR(out_.add_zeros(stream_->table_offset() - out_.offset()));
    TARE_RETURN_IF_ERROR(out_.add(bytes));
    stream_ = nullptr;
    table_.clear();
    return {};
  }

  Status copy(const TareSource::Item& item, int64_t bytes, TareFile* f) {
    TARE_RETURN_IF_ERROR(begin_stream(&f->stored));
    Sha256 sha;
    Pending p;
    for (int64_t begin = 0; begin < bytes; begin += kTareRawPiece) {
      TARE_RETURN_IF_ERROR(check_stop());
      const auto piece = p.plain_buffer.fit(static_cast<size_t>(std::min(kTareRawPiece, bytes - begin)));
      TARE_RETURN_IF_ERROR(item.read(begin, piece));
      sha.add(piece);
      p.bytes = piece, p.pieces.clear();
      p.add(piece);
      progress_.advance(static_cast<int64_t>(piece.size()));
      TARE_RETURN_IF_ERROR(append(p));
    }
    f->sha = bytes_of_hex(sha.finish());
    return end_stream();
  }

  // SHA-256 of the plain bytes, statistics, and the tables that follow. A thread looks at two tensors in turn as long
  // as there are enough for the others: two are hashed faster than one after the other.
  Status study(const TareSource::Item& item, std::span<TareTensor> batch) const {
    std::vector<TareTensor*> tensors;
    for (auto& t : batch) tensors.push_back(&t);
    std::stable_sort(tensors.begin(), tensors.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });
    const auto threads = static_cast<size_t>(threads_of(options_.threads));
    std::atomic<size_t> next = 0;
    const auto work = [&](size_t) -> Status {
      std::array<std::unique_ptr<Study>, 2> studies;
      Buffer buffers[2];
      for (;;) {
        for (size_t slot = 0; slot < 2; ++slot) {
          if (studies[slot] || (studies[1 - slot] && next + threads > tensors.size())) continue;
          if (const size_t i = next.fetch_add(1); i < tensors.size())
            studies[slot] = std::make_unique<Study>(item, tensors[i]);
        }
        TARE_RETURN_IF_ERROR(check_stop());
        auto &a = studies[0], &b = studies[1];
        if (!a && !b) return {};
        if (a && b) {
          TARE_ASSIGN_OR_RETURN(const auto of_a, a->read(&buffers[0]));
          TARE_ASSIGN_OR_RETURN(const auto of_b, b->read(&buffers[1]));
          Sha256::add_both(a->sha, of_a, b->sha, of_b);
          a->count(of_a), b->count(of_b);
        } else {
          Study& one = a ? *a : *b;
          TARE_ASSIGN_OR_RETURN(const auto bytes, one.read(&buffers[0]));
          one.sha.add(bytes);
          one.count(bytes);
        }
        for (auto& s : studies)
          if (s && s->at == s->tensor->bytes) {
            TARE_RETURN_IF_ERROR(s->finish(&buffers[0]));
            s.reset();
          }
      }
    };
    return parallel_for(std::min(threads, tensors.size()), options_.threads, work);
  }
  struct Study {
    Study(const TareSource::Item& source, TareTensor* t) : item(source), tensor(t) {
      t->grid = grid_for(t->shape);
      const auto width = coded_width(t->dtype);
      if (width && t->bytes > 0 && t->grid.is_bounded()) counter.emplace(*width);
      // Whole rows where they are short: what is expanded from a GGUF is expanded by rows.
      const int64_t rows = std::max<int64_t>(1, t->grid.experts * t->grid.rows),
                    row = std::max<int64_t>(1, t->bytes / rows);
      step = row < kReadBytes ? kReadBytes / row * row : kReadBytes;
    }
    Result<std::span<const std::byte>> read(Buffer* buffer) {
      const auto piece = buffer->fit(static_cast<size_t>(std::min(step, tensor->bytes - at)));
      TARE_RETURN_IF_ERROR(item.read(tensor->begin + at, piece));
      at += static_cast<int64_t>(piece.size());
      return std::span<const std::byte>(piece);
    }
    void count(std::span<const std::byte> piece) {
      if (counter) counter->add(piece);
    }
    Status finish(Buffer* buffer) {
      tensor->sha = bytes_of_hex(sha.finish());
      if (!counter) return {};
      const int width = *coded_width(tensor->dtype);
      if (!counter->is_sure()) {
        counter.emplace(width, true);
        for (at = 0; at < tensor->bytes;) {
          TARE_ASSIGN_OR_RETURN(const auto piece, read(buffer));
          counter->add(piece);
        }
      }
      tensor->tables = choose_tables(width, *counter, tensor->grid);
      if (tensor->tables.any()) tensor->codec = TareTensor::Codec::exp_ans;
      return {};
    }

    const TareSource::Item& item;
    TareTensor* tensor;
    Sha256 sha;
    std::optional<PlaneCounter> counter;
    int64_t at = 0, step = kReadBytes;
  };

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
    std::vector<std::unique_ptr<Pending>> free;
    size_t written = 0;
    bool failed = false;
    const auto work = [&](size_t i) -> Status {
      std::unique_lock lock(mutex);
      std::unique_ptr<Pending> p;
      if (!free.empty()) p = std::move(free.back()), free.pop_back();
      lock.unlock();
      if (!p) p = std::make_unique<Pending>();
      Status status = check_stop();
      if (status.ok()) status = encode(item, batch, encoders, bands[i], p.get());
      lock.lock();
      turn.wait(lock, [&] { return written == i || failed; });
      if (status.ok() && !failed) status = commit(bands, i, batch, *p);
      failed |= !status.ok();
      ++written;
      free.push_back(std::move(p));
      turn.notify_all();
      return status;
    };
    TARE_RETURN_IF_ERROR(parallel_for(bands.size(), options_.threads, work));
    return end_stream();
  }

  static Status encode(const TareSource::Item& item, std::span<const TareTensor> batch,
                       const std::vector<std::unique_ptr<TileEncoder>>& encoders, const Band& band, Pending* p) {
    const TareTensor& t = batch[band.tensor];
    const auto plain = p->plain_buffer.fit(static_cast<size_t>(band.bytes));
    p->pieces.clear();
    TARE_RETURN_IF_ERROR(item.read(t.begin + band.begin, plain));
    if (band.tiles == 0) {
      p->bytes = plain;
      p->add(plain);
      return {};
    }
    const auto first = t.grid.tile(band.first_tile);
    const int64_t width = t.tables.width;
    const int64_t stride = band.bytes / first.rows;
    const auto most = static_cast<size_t>(t.grid.most_tile_bytes(t.tables.width));
    const auto coded = p->coded_buffer.fit(most * static_cast<size_t>(band.tiles));
    p->bytes = coded;
    size_t at = 0;
    for (int64_t i = 0; i < band.tiles; ++i) {
      const auto tile = t.grid.tile(band.first_tile + i);
      const size_t bytes = encoders[band.tensor]->encode(plain.data() + (tile.column - first.column) * width, stride,
                                                         tile.rows, tile.columns, coded.subspan(at));
      p->add(coded.subspan(at, bytes));
      at += bytes;
    }
    p->bytes = coded.first(at);
    return {};
  }

  Status commit(const std::vector<Band>& bands, size_t i, std::span<TareTensor> batch, const Pending& p) {
    TareTensor& t = batch[bands[i].tensor];
    if (i == 0 || bands[i - 1].tensor != bands[i].tensor) TARE_RETURN_IF_ERROR(begin_stream(&t.stored));
    progress_.advance(bands[i].bytes);
    return append(p);
  }

  const TareSource& source_;
  OutputRun& out_;
  Progress& progress_;
  const PackOptions& options_;
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
  OutputRun run(output.get(), kTarePage);
  TareDirectory directory;
  directory.info = source.info;
  {
    Progress progress("packing", report.plain_bytes, options.show_progress && Progress::stderr_is_terminal());
    TARE_RETURN_IF_ERROR(Packer(source, run, progress, options).run(&directory));
  }
  const std::string printed = print_tare_directory(directory);
  directory.file_bytes = directory.directory_offset + static_cast<int64_t>(printed.size());
  const std::string header = print_tare_header(directory, printed);
  TARE_RETURN_IF_ERROR(run.add(std::as_bytes(std::span(printed))));
  TARE_RETURN_IF_ERROR(run.end());
  TARE_RETURN_IF_ERROR(output->write(0, std::as_bytes(std::span(header))));
  TARE_RETURN_IF_ERROR(output->finish());
  report.bundle_bytes = directory.file_bytes;
  for (const auto& t : directory.tensors) report.weight_bytes += t.bytes, report.stored_weight_bytes += t.stored.bytes;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace tare
