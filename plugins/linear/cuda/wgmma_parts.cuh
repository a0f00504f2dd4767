// What the wgmma kernels share: register budgets and the order of tiles. [device]
#pragma once
#include <cstdint>

namespace tare::linear_cuda {

// Registers a thread of `groups` consumer warpgroups may hold once the producer's warpgroup has given up its share; the
// sums stay within what the launch allocated (168, 128, 96 a thread): asking for more would wait for ever. Four groups
// with 64 tokens have some to spare, which the producers, who walk over many runs there, use.
constexpr int consumer_registers(int groups, int tokens) {
  return groups <= 2 ? 224 : groups == 3 ? 152 : tokens <= 64 ? 104 : 112;
}
constexpr int producer_registers(int groups, int tokens) {
  return groups == 1 ? 32 : groups <= 3 ? 56 : tokens <= 64 ? 64 : 32;
}

struct TilePlace {
  int row_tile;
  int token_tile;
};

// Tiles go down `band` row tiles before the next token tile, so that neighbours in time share weights and activations
// in L2.
__device__ __forceinline__ TilePlace place_tile(int tile, int row_tiles, int token_tiles, int band) {
  if (token_tiles == 1) return {tile, 0};
  const int in_band = band * token_tiles, which = tile / in_band, first = which * band;
  const int height = min(band, row_tiles - first), rest = tile - which * in_band;
  return {first + rest % height, rest / height};
}

}  // namespace tare::linear_cuda
