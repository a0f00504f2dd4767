#include "core/program/arena.hpp"

#include <algorithm>
#include <numeric>

namespace tare {

int64_t place(std::span<Lifetime> buffers) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  const auto rounded_up = [](int64_t n) { return (n + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment; };
  std::vector<size_t> placed;  // by offset
  int64_t arena = 0;
  for (size_t i : order) {
    Lifetime& buffer = buffers[i];
    int64_t offset = 0;
    for (size_t p : placed) {
      const Lifetime& other = buffers[p];
      if (other.last < buffer.first || buffer.last < other.first) continue;
      if (offset + rounded_up(buffer.bytes) <= other.offset) break;
      offset = std::max(offset, other.offset + rounded_up(other.bytes));
    }
    buffer.offset = offset;
    arena = std::max(arena, offset + rounded_up(buffer.bytes));
    placed.insert(std::ranges::upper_bound(placed, offset, {}, [&](size_t p) { return buffers[p].offset; }), i);
  }
  return arena;
}

}  // namespace tare
