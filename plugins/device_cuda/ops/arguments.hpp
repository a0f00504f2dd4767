// What the operations take: plain structs by value, and the configurations that are template arguments. Included by
// host code and by kernels; holds no CUDA. Strides are in elements unless they say bytes.
#pragma once
#include <cstdint>

namespace tare::cuda_ops {

enum class Element : int32_t { kBf16 = 0, kF32 = 1 };

// out[r] = in[rows[r]]: whole rows of 2-byte units. grid: rows.
struct GatherArguments {
  const uint16_t* input;
  const int32_t* rows;
  uint16_t* output;
  int64_t units, input_stride, output_stride;  // of 2 bytes
};
// out[r] = a[r] followed by b[r]. grid: rows.
struct ConcatArguments {
  const uint16_t* first;
  const uint16_t* second;
  uint16_t* output;
  int64_t first_units, second_units, first_stride, second_stride, output_stride;  // of 2 bytes
};

enum class NormKind : int32_t { kRms = 0, kLayer = 1 };
struct NormConfig {
  NormKind kind = NormKind::kRms;
  Element input = Element::kBf16, output = Element::kBf16, weight = Element::kBf16;
};
// grid: (rows, groups of `columns` in a row). weight, bias: null when absent.
struct NormArguments {
  const void* input;
  const void* weight;
  const void* bias;
  void* output;
  int64_t columns, input_stride, output_stride;
  float epsilon, offset;
};

enum class RotaryPairs : int32_t { kHalves = 0, kNeighbours = 1 };
struct RotaryConfig {
  RotaryPairs pairs = RotaryPairs::kHalves;
  Element input = Element::kBf16, output = Element::kBf16;
};
inline constexpr int kMostRotaryPairs = 512;
// grid: (tokens, heads). The table of frequencies travels with the launch: 4 bytes a pair.
struct RotaryArguments {
  const void* input;
  void* output;
  const int32_t* positions;
  int64_t input_stride, output_stride;  // of a token
  int32_t head_size, first, pairs;
  float magnitude;
  float frequencies[kMostRotaryPairs];
};

// Where a sequence keeps what it has seen: page `pages[sequence * stride + position / page_tokens]`, then the part's
// offset.
struct PagedState {
  uint8_t* base;
  const int32_t* pages;
  int64_t page_stride;  // of the table, in entries
  int64_t page_bytes;
  int64_t key_offset, value_offset;  // bytes into a page
  int64_t key_token_bytes, value_token_bytes;
  int32_t page_tokens;
};
enum class Visible : int32_t { kFull = 0, kWindow = 1, kChunk = 2 };
struct AttentionConfig {
  int32_t head_size = 64;   // of q and k
  int32_t value_size = 64;  // at most kMostValueSize
  Visible visible = Visible::kFull;
  Element element = Element::kBf16;  // of q, k, v, the state and the result
};
inline constexpr int kAttentionThreads = 128, kMostValueSize = 8 * kAttentionThreads, kMostHeadSize = 1024;
// append: grid (tokens); attend: grid (tokens, heads), 128 threads.
struct AttentionArguments {
  const void* query;              // [tokens][heads][head_size]
  const void* key;                // [tokens][kv_heads][head_size]
  const void* value;              // [tokens][kv_heads][value_size]
  void* output;                   // [tokens][heads][value_size]
  const int32_t* positions;       // [tokens]
  const int32_t* sequence_begin;  // [sequences + 1]: the first row of each
  PagedState state;
  int64_t query_stride, key_stride, value_stride, output_stride;  // of a token
  int32_t heads, kv_heads, sequences;
  int32_t extent;  // of a window or chunk
  float scale, soft_cap;
};

enum class Activation : int32_t { kNone = 0, kSilu = 1, kGelu = 2, kGeluTanh = 3, kRelu = 4 };
enum class Elementwise : int32_t { kGated = 0, kActivate = 1, kAdd = 2, kScale = 3, kSoftCap = 4 };
struct ElementwiseConfig {
  Elementwise operation = Elementwise::kAdd;
  Activation activation = Activation::kNone;
  Element first = Element::kBf16, second = Element::kBf16, output = Element::kBf16;
};
// grid: (rows, columns / 256 rounded up), 256 threads. The result may lie where an operand does.
struct ElementwiseArguments {
  const void* first;   // gate, x, a
  const void* second;  // up, b; null for one operand
  void* output;
  int64_t columns, first_stride, second_stride, output_stride;
  float number;  // factor, cap
};

}  // namespace tare::cuda_ops
