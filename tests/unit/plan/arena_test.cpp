#include <doctest/doctest.h>

#include <random>

#include "core/program/arena.hpp"

namespace tare {
namespace {

TEST_CASE("no two buffers that live at one time overlap, and dead bytes are used again") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> buffers;
    for (size_t i = 0; i < 1 + random() % 40; ++i) {
      const auto first = static_cast<int32_t>(random() % 30);
      buffers.push_back({static_cast<int64_t>(random() % 5000), first, first + static_cast<int32_t>(random() % 6), 0});
    }
    const int64_t arena = place(buffers);
    int64_t sum = 0;
    for (size_t a = 0; a < buffers.size(); ++a) {
      CHECK(buffers[a].offset % kArenaAlignment == 0);
      CHECK(buffers[a].offset + buffers[a].bytes <= arena);
      sum += (buffers[a].bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
      for (size_t b = a + 1; b < buffers.size(); ++b) {
        if (buffers[a].last < buffers[b].first || buffers[b].last < buffers[a].first) continue;
        const bool apart = buffers[a].offset + buffers[a].bytes <= buffers[b].offset ||
                           buffers[b].offset + buffers[b].bytes <= buffers[a].offset;
        CHECK(apart);
      }
    }
    CHECK(arena <= sum);
  }
  std::vector<Lifetime> chain{{1000, 0, 1, 0}, {1000, 1, 2, 0}, {1000, 2, 3, 0}, {1000, 3, 4, 0}};
  CHECK(place(chain) == 2 * 1024);
}

}  // namespace
}  // namespace tare
