// Places buffers in one arena by lifetime. Pure. [any thread]
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace tare {

struct Lifetime {
  int64_t bytes = 0;
  int32_t first = 0, last = 0;  // steps that it lives through, both included
  int64_t offset = 0;           // result
};
constexpr int64_t kArenaAlignment = 256;

// Gives each an offset so that no two that live at one time overlap; returns the arena's bytes. Largest first, each at
// the lowest offset that is free for its life (greedy by size: Pisarchyk and Lee, arXiv 2001.03288).
int64_t place(std::span<Lifetime> buffers);

}  // namespace tare
