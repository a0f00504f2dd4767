// The order "cpu-tiles": how the numbers of a matrix [N outputs, K inputs] lie for every CPU kernel, so that one
// resident copy serves AMX tiles, AVX512-BF16, AVX2 and plain vectors alike.
//
//   BF16: [N/64 strips][K/32 chunks][4 tiles][16 pairs of K][16 outputs][2]   a tile is what AMX multiplies by: 1 KiB;
//                                                                             a pair of 16 outputs is one line of cache
//   F32:  [N/64 strips][K][64 outputs]
//
// N is padded to 64 and, for BF16, K to 32, with zeros. Pure arithmetic, [any thread].
#pragma once
#include <cstdint>

namespace tare::linear {

constexpr int64_t kStripOutputs = 64, kTileOutputs = 16, kTiles = 4, kChunkInputs = 32, kChunkPairs = 16;
constexpr int64_t kTileBytes = 1024, kChunkBytes = kTiles * kTileBytes;

constexpr int64_t divide_up(int64_t a, int64_t b) noexcept { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) noexcept { return divide_up(a, b) * b; }
constexpr int64_t num_strips(int64_t outputs) noexcept { return divide_up(outputs, kStripOutputs); }
constexpr int64_t num_chunks(int64_t inputs) noexcept { return divide_up(inputs, kChunkInputs); }

constexpr int64_t strip_bytes_bf16(int64_t inputs) noexcept { return num_chunks(inputs) * kChunkBytes; }
constexpr int64_t strip_bytes_f32(int64_t inputs) noexcept { return inputs * kStripOutputs * 4; }

}  // namespace tare::linear
