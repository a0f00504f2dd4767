// tile_decoder/1: a device that decodes a bundle's entropy-coded tiles (docs/formats/bundle.md, "Tiles") in its own
// memory, so that loading sends it the coded bytes alone. Asked for with Device::query.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/api/device.hpp"

namespace tare {

// How a tensor's tiles were coded. Tiles lie expert by expert, row of tiles by row of tiles; those at the edges are
// smaller. Whoever fills it has checked it: sizes are positive, a tile has at most 65536 elements, the frequencies of a
// coded plane add up to 4096.
struct CodedMatrix {
  int64_t experts = 1, rows = 1, columns = 1;  // of one expert
  int32_t tile_rows = 1, tile_columns = 1;
  int32_t width = 2;                                       // bytes of an element: 1, 2 or 4
  std::array<bool, 4> coded{};                             // by plane; false: the plane's bytes as they are
  std::array<std::array<uint16_t, 256>, 4> frequencies{};  // by plane and byte
  int64_t first_tile = 0;                                  // its number where this is part of a tensor: for messages
  int64_t tiles() const noexcept {
    return experts * ((rows + tile_rows - 1) / tile_rows) * ((columns + tile_columns - 1) / tile_columns);
  }
  int64_t plain_bytes() const noexcept { return experts * rows * columns * width; }
};

// One thread, one stream.
class DeviceTileDecoder {
 public:
  virtual ~DeviceTileDecoder() = default;
  // Decodes all tiles of a tensor to row-major numbers at `plain`, by work on `stream`. `coded`: the tiles' bytes in
  // device memory, arrived, aligned to 16. `begins`: where each tile begins in them, and where the last one ends, read
  // before this returns. Tiles that contradict themselves write nothing outside their place and read nothing outside
  // their bytes; check() tells of them.
  virtual Status decode(Stream& stream, const CodedMatrix& matrix, std::span<const int64_t> begins, const void* coded,
                        void* plain) = 0;
  // Waits for the last decode(). Corrupt, with the number of the first such tile, when it met one.
  virtual Status check(Stream& stream) = 0;
};

// [any thread]
class TileDecoding {
 public:
  static constexpr std::string_view kInterface = "tile_decoder/1";
  virtual ~TileDecoding() = default;
  // The decoder does not outlive the device.
  virtual Result<std::unique_ptr<DeviceTileDecoder>> tile_decoder() = 0;
};

}  // namespace tare
