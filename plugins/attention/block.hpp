// Attention over one block of keys for some rows, compiled for several instruction sets (block.cpp). A row is one query
// head of one token. Lanes are keys (for scores) or values' elements (for the mix), never parts of one sum, so widths
// of vectors change no bit; targets with FMA agree with each other. [any thread]
#pragma once
#include <cstdint>

#include "core/api/cpu_targets.hpp"
#include "core/api/dtype.hpp"

namespace tare::attention {

constexpr int64_t kBlockKeys = 64;   // blocks begin at multiples of it in absolute positions
constexpr int64_t kChunkKeys = 512;  // running sums begin anew at multiples of it, and are merged in order
constexpr int64_t kMostWidth = 256;  // of a head
constexpr int64_t kMostRows = 128;   // that share a block in the second cache
constexpr int64_t kTotalLanes = 16;

// What a row has seen so far: softmax's running maximum and sums, in the manner of Milakov and Gimelshein, "Online
// normalizer calculation for softmax", arXiv 1805.02867.
struct Running {
  float* top;     // [rows]; -infinity: no key yet
  float* totals;  // [rows][16]: lane i sums keys i, i + 16, ..
  float* mixed;   // [rows][width]: not divided yet
  int64_t width;  // of v, rounded up to 16
};

struct Block {
  const float* queries = nullptr;  // [rows][query_stride], zero behind the head's width
  int64_t rows = 0, query_stride = 0;
  const void* keys = nullptr;           // BF16: [(d+1)/2 pairs][64 keys][2]; F32: [d][64 keys]
  int64_t key_units = 0;                // pairs, or d
  bool bf16 = true;                     // keys and values; else F32
  const void* const* values = nullptr;  // [64]: each key's value, `width` numbers of the keys' type; never null
  int64_t first_position = 0;           // of the block's first key
  const int32_t* first = nullptr;       // [rows]: the first key that the row sees, absolute
  const int32_t* last = nullptr;        // [rows]: the last one
  float scale = 1, soft_cap = 0;
  float* scores = nullptr;  // [rows][64]: scratch
  Running running{};
};

struct BlockFunctions {
  // Takes the block's keys into `running`.
  void (*attend)(const Block&) = nullptr;
  // from's sums into to's; rows that saw nothing change nothing.
  void (*merge)(const Running& from, const Running& to, int64_t rows) = nullptr;
  // out[row][i] = mixed / total, not rounded; rows of `width` floats.
  void (*divide)(const Running& running, int64_t rows, float* out) = nullptr;
  // count BF16 numbers as F32.
  void (*widen)(const uint16_t* from, int64_t count, float* to) = nullptr;
};
BlockFunctions block_functions(CpuTarget target) noexcept;

}  // namespace tare::attention
