// What the operations take: plain structs by value, and the configurations that are template arguments. Included by
// host code and by kernels; holds no CUDA. Strides are in elements.
#pragma once
#include <cstdint>

namespace tare::cuda_ops {

// out[t] = table[ids[t]]; rows of `columns` bf16. grid: tokens.
struct EmbedArguments {
  const uint16_t* table;
  const int32_t* ids;
  uint16_t* output;
  int64_t columns;
  int64_t input_stride, output_stride;
};

enum class NormKind : int32_t { kRms = 0, kLayer = 1 };
struct NormConfig {
  NormKind kind = NormKind::kRms;
};
// grid: rows. weight, bias: null when absent.
struct NormArguments {
  const uint16_t* input;
  const uint16_t* weight;
  const uint16_t* bias;
  uint16_t* output;
  int64_t columns, input_stride, output_stride;
  float epsilon, offset;
};

enum class RotaryPairs : int32_t { kHalves = 0, kNeighbours = 1 };
struct RotaryConfig {
  RotaryPairs pairs = RotaryPairs::kHalves;
};
// grid: (tokens, heads). frequencies: [width / 2].
struct RotaryArguments {
  const uint16_t* input;
  uint16_t* output;
  const int32_t* positions;
  const float* frequencies;
  int64_t input_stride, output_stride;  // of a token
  int32_t head_size, first, width;
  float magnitude;
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
  int32_t head_size = 64;   // of q and k; a multiple of 32
  int32_t value_size = 64;  // a multiple of 32
  Visible visible = Visible::kFull;
};
// append: grid (tokens); attend: grid (tokens, heads), 128 threads.
struct AttentionArguments {
  const uint16_t* query;     // [tokens][heads][head_size]
  const uint16_t* key;       // [tokens][kv_heads][head_size]
  const uint16_t* value;     // [tokens][kv_heads][value_size]
  uint16_t* output;          // [tokens][heads][value_size]
  const int32_t* positions;  // [tokens]
  const int32_t* sequences;  // [tokens]: of each row
  PagedState state;
  int64_t query_stride, key_stride, value_stride, output_stride;  // of a token
  int32_t heads, kv_heads;
  int32_t extent;  // of a window or chunk
  float scale, soft_cap;
};

enum class Activation : int32_t { kNone = 0, kSilu = 1, kGelu = 2, kGeluTanh = 3, kRelu = 4 };
enum class Elementwise : int32_t { kGated = 0, kActivate = 1, kAdd = 2, kScale = 3, kSoftCap = 4 };
struct ElementwiseConfig {
  Elementwise operation = Elementwise::kAdd;
  Activation activation = Activation::kNone;
};
// grid: (columns / 256 rounded up, rows)
struct ElementwiseArguments {
  const uint16_t* first;   // gate, x, a
  const uint16_t* second;  // up, b; null for one operand
  uint16_t* output;
  int64_t columns, first_stride, second_stride, output_stride;
  float number;  // factor, cap
};

// ids[row] = position of the largest of `columns` logits. grid: rows, 1024 threads.
struct ArgmaxConfig {
  bool f32 = true;  // logits in float, else in bf16
};
struct ArgmaxArguments {
  const void* logits;
  int32_t* ids;
  int64_t columns, stride;
};

}  // namespace tare::cuda_ops
