#include "core/runtime/tile_parts.hpp"

#include <algorithm>

namespace tare {

std::vector<TilePart> tile_parts(const CodedMatrix& whole, int64_t most_bytes) {
  std::vector<TilePart> parts;
  const int64_t row_bytes = whole.columns * whole.width, expert_bytes = whole.rows * row_bytes;
  const auto add = [&](int64_t experts, int64_t rows) {
    TilePart part{.matrix = whole};
    part.matrix.experts = experts, part.matrix.rows = rows;
    if (!parts.empty()) {
      part.matrix.first_tile = parts.back().end_tile();
      part.plain_at = parts.back().plain_at + parts.back().matrix.plain_bytes();
    }
    parts.push_back(part);
  };
  if (const int64_t together = most_bytes / std::max<int64_t>(1, expert_bytes); together > 0) {
    for (int64_t e = 0; e < whole.experts; e += together) add(std::min(together, whole.experts - e), whole.rows);
    return parts;
  }
  const int64_t bands = std::max<int64_t>(1, most_bytes / (row_bytes * whole.tile_rows));
  const int64_t step = bands * whole.tile_rows;
  for (int64_t e = 0; e < whole.experts; ++e)
    for (int64_t row = 0; row < whole.rows; row += step) add(1, std::min(step, whole.rows - row));
  return parts;
}

}  // namespace tare
