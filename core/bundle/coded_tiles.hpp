// CodedTiles: a tensor of a bundle as its entropy-coded tiles, for devices that decode them (tile_decoder/1). Bytes are
// checked against the bundle's checksums as they are read. open() by one thread, then const and [any thread].
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "core/api/tile_decoder.hpp"

namespace tare {

class CodedTiles {
 public:
  virtual ~CodedTiles() = default;
  virtual const CodedMatrix& matrix() const noexcept = 0;
  virtual int64_t bytes() const noexcept = 0;  // of all tiles
  // Reads the table of tiles and checks it: its checksum, its order, that no tile is longer than one can be. Before
  // the calls below.
  virtual Status open() = 0;
  // Where each tile begins, and where the last one ends.
  virtual std::span<const int64_t> begins() const noexcept = 0;
  // The bytes of tiles [first, last), each checked. Corrupt names the tensor and the tile.
  virtual Status read(int64_t first, int64_t last, std::byte* out) const = 0;
  virtual std::string name() const = 0;  // for messages: "m.tare: tensor 'x'"
};

}  // namespace tare
