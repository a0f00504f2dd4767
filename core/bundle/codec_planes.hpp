// exp-ans: elements split into byte planes, planes entropy-coded where that pays, in two-dimensional tiles that decode
// independently and never cross an expert. Lossless for every bit pattern. docs/formats/bundle.md. [any thread]
//
// Planes of an element, little-endian bytes, width w: w = 1: the byte. w >= 2: plane w-1 is bits 8w-9 .. 8w-2 (BF16
// and F32: the exponent; F16: the exponent and three mantissa bits), plane w-2 the sign above the next 7 bits, the
// planes below are the element's low bytes as they are.
#pragma once
#include <memory>
#include <optional>

#include "core/bundle/codec_rans.hpp"

namespace tare {

// A tensor as matrices: `experts` of rows x columns (all dimensions but the last two are experts).
struct TileGrid {
  int64_t experts = 1, rows = 1, columns = 0;
  int32_t tile_rows = 1, tile_columns = 1;
  int64_t down() const noexcept { return (rows + tile_rows - 1) / tile_rows; }  // tiles
  int64_t across() const noexcept { return (columns + tile_columns - 1) / tile_columns; }
  int64_t tiles() const noexcept { return experts * down() * across(); }
  int64_t elements() const noexcept { return experts * rows * columns; }
  int64_t most_tile_bytes(int width) const noexcept { return int64_t{tile_rows} * tile_columns * width * 2 + 1024; }
  // What keeps the memory of readers bounded: docs/formats/bundle.md, "Tiles".
  bool is_bounded() const noexcept {
    return int64_t{tile_rows} * tile_columns <= 65536 && (tile_rows == 1 || tile_rows <= (1 << 22) / columns);
  }
  // Tiles lie expert by expert, row of tiles by row of tiles.
  struct Tile {
    int64_t expert, row, column;  // first element; row counts within the expert
    int32_t rows, columns;        // smaller at the edges
  };
  Tile tile(int64_t index) const noexcept;
};
// Of a tensor of these dimensions, tile sizes 0.
TileGrid matrices_of(std::span<const int64_t> shape);
// With the tiles that the packer chooses: 64 x 256; narrow matrices get taller tiles, very wide ones flat tiles.
TileGrid grid_for(std::span<const int64_t> shape);

// Bytes of an element of a safetensors type that exp-ans takes (1, 2 or 4); nothing for the others.
std::optional<int> coded_width(std::string_view safetensors_dtype);

// The bytes of a tensor's planes, counted from its first element to its last: the first half million elements, and from
// there on one piece of 8192 in eight, chosen by its number, and every piece that has a byte not met before. So each
// byte that occurs is counted, and how often is known closely enough (docs/benchmarks/bundle-codec.md).
// Mantissas whose code does not pay need not even that; should a plane that looked so turn out otherwise, the tensor
// must be counted again in full. [one thread]
constexpr int kMostPlanes = 4;
using PlaneHistograms = std::array<rans::Histogram, kMostPlanes>;
class PlaneCounter {
 public:
  explicit PlaneCounter(int width, bool all = false);  // all: every byte of every plane
  // Whole elements. The same counts come out however a tensor is cut, if every cut but the last is a multiple of
  // kPiece elements.
  void add(std::span<const std::byte> elements);
  const PlaneHistograms& histograms() const noexcept { return histograms_; }
  int64_t counted(size_t plane) const noexcept;
  bool has_all_bytes(size_t plane) const noexcept { return !ignored_[plane]; }
  bool is_sure() const;  // false: count again with `all`
  static constexpr size_t kPiece = 8192;

 private:
  static constexpr size_t kFirstPieces = 64;
  bool looks_raw(size_t plane) const;
  size_t width_;
  bool all_;
  size_t piece_ = 0;
  std::unique_ptr<uint8_t[]> planes_;
  std::array<bool, kMostPlanes> ignored_{};  // in pieces that are not chosen
  PlaneHistograms histograms_{};
};

// How the planes of a tensor are coded.
struct PlaneTables {
  int width = 2;
  std::array<bool, kMostPlanes> coded{};
  std::array<rans::Frequencies, kMostPlanes> frequencies{};
  bool any() const noexcept { return coded[0] || coded[1] || coded[2] || coded[3]; }
};
// Planes whose code would save less than 1/64, heads of tiles included, stay raw.
PlaneTables choose_tables(int width, const PlaneCounter& counter, const TileGrid& grid);

class TileEncoder {
 public:
  explicit TileEncoder(const PlaneTables& tables, rans::Loops loops = rans::best_loops());
  // A tile of rows x columns elements, `stride` bytes from row to row, into `out`, which has room for
  // TileGrid::most_tile_bytes. Returns the bytes, a multiple of 16.
  size_t encode(const std::byte* elements, int64_t stride, int32_t rows, int32_t columns,
                std::span<std::byte> out) const;

 private:
  int width_;
  rans::Loops loops_;
  std::array<std::unique_ptr<rans::Encoder>, kMostPlanes> encoders_;  // null: raw
};
class TileDecoder {
 public:
  explicit TileDecoder(const PlaneTables& tables, rans::Loops loops = rans::best_loops());
  // `in` must be exactly one tile; every byte is accounted for. Corrupt otherwise.
  Status decode(std::span<const std::byte> in, int32_t rows, int32_t columns, std::byte* elements,
                int64_t stride) const;

 private:
  int width_;
  rans::Loops loops_;
  std::array<std::unique_ptr<rans::Decoder>, kMostPlanes> decoders_;
};

}  // namespace tare
