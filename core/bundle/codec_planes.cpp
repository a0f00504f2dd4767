#include "core/bundle/codec_planes.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/bundle/codec_split.hpp"

namespace tare {
namespace {

constexpr int64_t kTileElements = 16384;
constexpr int32_t kTileRows = 64, kTileColumns = 256;
constexpr int64_t kWidestBand = 65536;  // columns: a band of 64 rows of F32 then has 16 MiB

// A tile's planes side by side; each has room for a tile and is reused.
struct Scratch {
  std::array<std::vector<uint8_t>, kMostPlanes> planes;
  void fit(int width, size_t count) {
    for (int p = 0; p < width; ++p)
      if (planes[static_cast<size_t>(p)].size() < count) planes[static_cast<size_t>(p)].resize(count);
  }
};
Scratch& scratch() {
  thread_local Scratch one;
  return one;
}
constexpr size_t up_to(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

TileGrid::Tile TileGrid::tile(int64_t index) const noexcept {
  const int64_t per_expert = down() * across();
  const int64_t within = index % per_expert;
  Tile t{index / per_expert, within / across() * tile_rows, within % across() * tile_columns, 0, 0};
  t.rows = static_cast<int32_t>(std::min<int64_t>(tile_rows, rows - t.row));
  t.columns = static_cast<int32_t>(std::min<int64_t>(tile_columns, columns - t.column));
  return t;
}
TileGrid matrices_of(std::span<const int64_t> shape) {
  TileGrid grid;
  grid.columns = shape.empty() ? 1 : shape.back();
  if (shape.size() >= 2) grid.rows = shape[shape.size() - 2];
  for (size_t i = 0; i + 2 < shape.size(); ++i) grid.experts *= shape[i];
  return grid;
}
TileGrid grid_for(std::span<const int64_t> shape) {
  TileGrid grid = matrices_of(shape);
  if (grid.rows <= 1 || grid.columns > kWidestBand) {
    grid.tile_rows = 1;
    grid.tile_columns = static_cast<int32_t>(std::clamp<int64_t>(grid.columns, 1, kTileElements));
    return grid;
  }
  grid.tile_columns = static_cast<int32_t>(std::clamp<int64_t>(grid.columns, 1, kTileColumns));
  grid.tile_rows = grid.columns >= kTileColumns ? kTileRows : static_cast<int32_t>(kTileElements / grid.tile_columns);
  grid.tile_rows = static_cast<int32_t>(std::min<int64_t>(grid.tile_rows, grid.rows));
  return grid;
}

std::optional<int> coded_width(std::string_view dtype) {
  if (dtype == "BF16" || dtype == "F16") return 2;
  if (dtype == "F32") return 4;
  if (dtype.starts_with("F8_")) return 1;
  return std::nullopt;
}

PlaneCounter::PlaneCounter(int width, bool all)
    : width_(static_cast<size_t>(width)),
      all_(all),
      planes_(std::make_unique_for_overwrite<uint8_t[]>(kPiece * width_)) {}
void PlaneCounter::add(std::span<const std::byte> elements) {
  const size_t count = elements.size() / width_;
  const auto* in = reinterpret_cast<const uint8_t*>(elements.data());
  uint8_t* planes[kMostPlanes] = {};
  for (size_t p = 0; p < width_; ++p) planes[p] = planes_.get() + p * kPiece;
  const rans::Loops loops = rans::best_loops();
  for (size_t begin = 0, n; begin < count; begin += n, ++piece_) {
    n = std::min(kPiece, count - begin);
    split_planes(static_cast<int>(width_), in + begin * width_, n, planes, loops);
    // Rows may repeat with any period: every eighth piece could see the same rows of each head.
    const bool chosen = all_ || piece_ < kFirstPieces || (static_cast<uint32_t>(piece_) * 0x9e3779b9u >> 29) == 0;
    for (size_t p = 0; p < width_; ++p)
      if (chosen || (!ignored_[p] && !all_occur(planes[p], n, histograms_[p], loops)))
        count_bytes(planes[p], n, &histograms_[p]);
    if (piece_ + 1 == kFirstPieces && !all_)
      for (size_t p = 0; p < width_; ++p) ignored_[p] = looks_raw(p);
  }
}
int64_t PlaneCounter::counted(size_t plane) const noexcept {
  return std::accumulate(histograms_[plane].begin(), histograms_[plane].end(), int64_t{0});
}
bool PlaneCounter::looks_raw(size_t plane) const {
  const rans::Histogram& h = histograms_[plane];
  return rans::coded_bits(h, rans::frequencies_for(h)) > static_cast<double>(counted(plane)) * 8 * 127 / 128;
}
bool PlaneCounter::is_sure() const {
  for (size_t p = 0; p < width_; ++p)
    if (ignored_[p] && !looks_raw(p)) return false;
  return true;
}

PlaneTables choose_tables(int width, const PlaneCounter& counter, const TileGrid& grid) {
  PlaneTables tables;
  tables.width = width;
  const auto elements = static_cast<double>(grid.elements());
  for (size_t p = 0; p < static_cast<size_t>(width); ++p) {
    if (!counter.has_all_bytes(p) || counter.counted(p) == 0) continue;
    const rans::Histogram& histogram = counter.histograms()[p];
    const rans::Frequencies f = rans::frequencies_for(histogram);
    const double byte = rans::coded_bits(histogram, f) / 8 / static_cast<double>(counter.counted(p));
    const double bytes = elements * byte + static_cast<double>(grid.tiles()) * 150;
    if (bytes > elements * 63 / 64) continue;
    tables.coded[p] = true;
    tables.frequencies[p] = f;
  }
  return tables;
}

TileEncoder::TileEncoder(const PlaneTables& tables, rans::Loops loops) : width_(tables.width), loops_(loops) {
  for (size_t p = 0; p < kMostPlanes; ++p)
    if (tables.coded[p]) encoders_[p] = std::make_unique<rans::Encoder>(tables.frequencies[p]);
}
size_t TileEncoder::encode(const std::byte* elements, int64_t stride, int32_t rows, int32_t columns,
                           std::span<std::byte> out) const {
  const auto count = static_cast<size_t>(rows) * static_cast<size_t>(columns), width = static_cast<size_t>(width_);
  Scratch& s = scratch();
  s.fit(width_, count);
  for (int32_t r = 0; r < rows; ++r) {
    uint8_t* planes[kMostPlanes] = {};
    const size_t at = static_cast<size_t>(r) * static_cast<size_t>(columns);
    for (size_t p = 0; p < width; ++p) planes[p] = s.planes[p].data() + at;
    split_planes(width_, reinterpret_cast<const uint8_t*>(elements + r * stride), static_cast<size_t>(columns), planes,
                 loops_);
  }
  size_t at = 0;
  const auto fill = [&](size_t unit) {
    const size_t end = up_to(at, unit);
    std::memset(out.data() + at, 0, end - at);
    at = end;
  };
  for (size_t p = 0; p < width; ++p) {
    const std::span<const uint8_t> plane(s.planes[p].data(), count);
    if (encoders_[p]) {
      at += rans::encode(*encoders_[p], plane, out.subspan(at), loops_);
    } else {
      std::memcpy(out.data() + at, plane.data(), count);
      at += count;
      fill(4);
    }
  }
  fill(16);
  return at;
}

TileDecoder::TileDecoder(const PlaneTables& tables, rans::Loops loops) : width_(tables.width), loops_(loops) {
  for (size_t p = 0; p < kMostPlanes; ++p)
    if (tables.coded[p]) decoders_[p] = std::make_unique<rans::Decoder>(tables.frequencies[p]);
}
Status TileDecoder::decode(std::span<const std::byte> in, int32_t rows, int32_t columns, std::byte* elements,
                           int64_t stride) const {
  const auto count = static_cast<size_t>(rows) * static_cast<size_t>(columns), width = static_cast<size_t>(width_);
  Scratch& s = scratch();
  const uint8_t* planes[kMostPlanes] = {};
  size_t at = 0;
  for (size_t p = 0; p < width; ++p) {
    if (decoders_[p]) {
      if (s.planes[p].size() < count) s.planes[p].resize(count);
      TARE_ASSIGN_OR_RETURN(const size_t used,
                            rans::decode(*decoders_[p], in.subspan(at), {s.planes[p].data(), count}, loops_));
      planes[p] = s.planes[p].data();
      at += used;
    } else {
      if (in.size() - at < up_to(count, 4))
        return failure(Code::corrupt, "a tile of ", in.size(), " bytes is too short for ", count, " elements");
      planes[p] = reinterpret_cast<const uint8_t*>(in.data()) + at;
      at += up_to(count, 4);
    }
  }
  if (up_to(at, 16) != in.size())
    return failure(Code::corrupt, "a tile has ", in.size(), " bytes, its planes fill ", at);
  for (int32_t r = 0; r < rows; ++r) {
    const uint8_t* row[kMostPlanes] = {};
    for (size_t p = 0; p < width; ++p) row[p] = planes[p] + static_cast<size_t>(r) * static_cast<size_t>(columns);
    join_planes(width_, row, static_cast<size_t>(columns), reinterpret_cast<uint8_t*>(elements + r * stride), loops_);
  }
  return {};
}

}  // namespace tare
