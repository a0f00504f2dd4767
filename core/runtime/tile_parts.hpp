// A tensor of coded tiles in parts that are sent and decoded one after the other, so that the first numbers are there
// before the last bytes. Pure, [any thread].
#pragma once
#include <vector>

#include "core/api/tile_decoder.hpp"

namespace tare {

struct TilePart {
  CodedMatrix matrix;    // of its tiles, which lie one behind the other
  int64_t plain_at = 0;  // where its numbers begin among the tensor's, in bytes
  int64_t end_tile() const noexcept { return matrix.first_tile + matrix.tiles(); }
};

// In order; each at most `most_bytes` of plain numbers, or one row of tiles.
std::vector<TilePart> tile_parts(const CodedMatrix& whole, int64_t most_bytes);

}  // namespace tare
