// How a config cuts a matrix: tiles of tokens, blocks of a grid, strips and chunks of a slot. Pure: [any thread].
#pragma once
#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda {

// Blocks for `work` equal pieces: as few as keep the longest block's share, so that none has less to do than it must
// wait for.
inline int32_t even_grid(int64_t work, int32_t limit) {
  const int64_t rounds = (work + limit - 1) / limit;
  return static_cast<int32_t>((work + rounds - 1) / rounds);
}

inline int64_t token_tiles(int32_t tokens, int32_t tile) { return (tokens + tile - 1) / tile; }

// Tiles of tile_rows x tile_tokens that cover rows x tokens.
inline int64_t tiles(int32_t rows, int32_t tile_rows, int32_t tokens, int32_t tile_tokens) {
  return rows / tile_rows * token_tiles(tokens, tile_tokens);
}
inline int64_t tiles(const ClusterConfig& c, int32_t rows, int32_t tokens) {
  return tiles(rows, 64 * c.row_groups, tokens, c.tokens);
}
inline int64_t tiles(const StreamConfig& c, int32_t rows, int32_t tokens) {
  return tiles(rows, 64 * c.row_groups, tokens, c.tokens);
}
inline int64_t tiles(const WideConfig& c, int32_t rows, int32_t tokens) {
  return tiles(rows, block_rows(c) * kWideCluster, tokens, c.tokens);
}

// Strips of a tile and chunks of a slot, for the copies of records.
struct SlotSpan {
  int32_t strips, chunks;
  bool tensor;
};
struct SpanOf {
  SlotSpan operator()(const StripConfig& c) const { return {own_strips(c), c.k_groups, c.tensor_copies}; }
  SlotSpan operator()(const ClusterConfig& c) const { return {4 * c.row_groups, c.k_groups, c.tensor_copies}; }
  SlotSpan operator()(const StreamConfig& c) const { return {4 * c.row_groups, 1, c.tensor_copies}; }
  SlotSpan operator()(const WideConfig& c) const { return {4 * c.row_groups, 1, c.tensor_copies}; }
  SlotSpan operator()(const PortableConfig&) const { return {1, 1, false}; }
};

// Whole blocks in a tile, or whole tiles in a block: what slots with several chunks need.
inline bool nests(int32_t strips, int32_t per_block) { return strips % per_block == 0 || per_block % strips == 0; }

}  // namespace tare::linear_cuda
