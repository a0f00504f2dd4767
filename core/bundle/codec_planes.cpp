#include "core/bundle/codec_planes.hpp"

#include <algorithm>
#include <cstring>

namespace tare {
namespace {

constexpr int64_t kTileElements = 16384;
constexpr int32_t kTileRows = 64, kTileColumns = 256;
constexpr int64_t kWidestBand = 65536;  // columns: a band of 64 rows of F32 then has 16 MiB

void split(int width, const uint8_t* in, size_t count, uint8_t* const* planes) {
  if (width == 1) {
    std::memcpy(planes[0], in, count);
  } else if (width == 2) {
    uint8_t *low = planes[0], *high = planes[1];
    for (size_t i = 0; i < count; ++i) {
      uint16_t v;
      std::memcpy(&v, in + 2 * i, 2);
      low[i] = static_cast<uint8_t>((v & 0x7f) | (v >> 8 & 0x80));
      high[i] = static_cast<uint8_t>(v >> 7);
    }
  } else {
    uint8_t *a = planes[0], *b = planes[1], *c = planes[2], *d = planes[3];
    for (size_t i = 0; i < count; ++i) {
      uint32_t v;
      std::memcpy(&v, in + 4 * i, 4);
      a[i] = static_cast<uint8_t>(v), b[i] = static_cast<uint8_t>(v >> 8);
      c[i] = static_cast<uint8_t>((v >> 16 & 0x7f) | (v >> 24 & 0x80));
      d[i] = static_cast<uint8_t>(v >> 23);
    }
  }
}
void join(int width, const uint8_t* const* planes, size_t count, uint8_t* out) {
  if (width == 1) {
    std::memcpy(out, planes[0], count);
  } else if (width == 2) {
    const uint8_t *low = planes[0], *high = planes[1];
    for (size_t i = 0; i < count; ++i) {
      const auto v = static_cast<uint16_t>((low[i] & 0x7f) | (low[i] & 0x80) << 8 | high[i] << 7);
      std::memcpy(out + 2 * i, &v, 2);
    }
  } else {
    const uint8_t *a = planes[0], *b = planes[1], *c = planes[2], *d = planes[3];
    for (size_t i = 0; i < count; ++i) {
      const uint32_t v = a[i] | uint32_t{b[i]} << 8 | (uint32_t{c[i]} & 0x7f) << 16 | uint32_t{d[i]} << 23 |
                         (uint32_t{c[i]} & 0x80) << 24;
      std::memcpy(out + 4 * i, &v, 4);
    }
  }
}

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

void count_planes(int width, std::span<const std::byte> elements, PlaneHistograms* histograms) {
  constexpr size_t kPiece = 8192;
  const size_t count = elements.size() / static_cast<size_t>(width);
  const auto* in = reinterpret_cast<const uint8_t*>(elements.data());
  Scratch& s = scratch();
  s.fit(width, kPiece);
  uint8_t* planes[kMostPlanes] = {s.planes[0].data(), s.planes[1].data(), s.planes[2].data(), s.planes[3].data()};
  // Four tables a plane: neighbours are often equal, and one counter would wait for itself.
  std::vector<std::array<std::array<uint32_t, 256>, 4>> counts(static_cast<size_t>(width));
  for (size_t begin = 0; begin < count; begin += kPiece) {
    const size_t n = std::min(kPiece, count - begin);
    split(width, in + begin * static_cast<size_t>(width), n, planes);
    for (size_t p = 0; p < static_cast<size_t>(width); ++p) {
      // A mantissa's statistics need no exactness, but a table must hold every byte that occurs.
      auto& c = counts[p];
      const uint8_t* bytes = planes[p];
      size_t i = 0;
      for (; i + 4 <= n; i += 4) ++c[0][bytes[i]], ++c[1][bytes[i + 1]], ++c[2][bytes[i + 2]], ++c[3][bytes[i + 3]];
      for (; i < n; ++i) ++c[0][bytes[i]];
    }
  }
  for (size_t p = 0; p < static_cast<size_t>(width); ++p)
    for (size_t b = 0; b < 256; ++b)
      (*histograms)[p][b] += int64_t{counts[p][0][b]} + counts[p][1][b] + counts[p][2][b] + counts[p][3][b];
}

PlaneTables choose_tables(int width, const PlaneHistograms& histograms, const TileGrid& grid) {
  PlaneTables tables;
  tables.width = width;
  const auto elements = static_cast<double>(grid.elements());
  for (size_t p = 0; p < static_cast<size_t>(width); ++p) {
    const rans::Frequencies f = rans::frequencies_for(histograms[p]);
    const double bytes = rans::coded_bits(histograms[p], f) / 8 + static_cast<double>(grid.tiles()) * 150;
    if (bytes > elements * 63 / 64) continue;
    tables.coded[p] = true;
    tables.frequencies[p] = f;
  }
  return tables;
}

TileEncoder::TileEncoder(const PlaneTables& tables, bool wide) : width_(tables.width), wide_(wide) {
  for (size_t p = 0; p < kMostPlanes; ++p)
    if (tables.coded[p]) encoders_[p] = std::make_unique<rans::Encoder>(tables.frequencies[p]);
}
void TileEncoder::encode(const std::byte* elements, int64_t stride, int32_t rows, int32_t columns,
                         std::vector<std::byte>* out) const {
  const auto count = static_cast<size_t>(rows) * static_cast<size_t>(columns), width = static_cast<size_t>(width_);
  Scratch& s = scratch();
  s.fit(width_, count);
  for (int32_t r = 0; r < rows; ++r) {
    uint8_t* planes[kMostPlanes];
    const size_t at = static_cast<size_t>(r) * static_cast<size_t>(columns);
    for (size_t p = 0; p < width; ++p) planes[p] = s.planes[p].data() + at;
    split(width_, reinterpret_cast<const uint8_t*>(elements + r * stride), static_cast<size_t>(columns), planes);
  }
  const size_t begin = out->size();
  size_t at = begin;
  for (size_t p = 0; p < width; ++p) {
    const std::span<const uint8_t> plane(s.planes[p].data(), count);
    if (encoders_[p]) {
      out->resize(at + rans::most_coded_bytes(count));
      at += rans::encode(*encoders_[p], plane, std::span(*out).subspan(at), wide_);
    } else {
      out->resize(at + up_to(count, 4));
      std::memcpy(out->data() + at, plane.data(), count);
      at += up_to(count, 4);
    }
    out->resize(at);
  }
  out->resize(begin + up_to(at - begin, 16));
}

TileDecoder::TileDecoder(const PlaneTables& tables, bool wide) : width_(tables.width), wide_(wide) {
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
                            rans::decode(*decoders_[p], in.subspan(at), {s.planes[p].data(), count}, wide_));
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
    join(width_, row, static_cast<size_t>(columns), reinterpret_cast<uint8_t*>(elements + r * stride));
  }
  return {};
}

}  // namespace tare
