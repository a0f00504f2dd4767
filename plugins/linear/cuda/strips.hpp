// A matrix in records as one piece of memory: the layouts "dense/cuda-strips" and "w12/cuda-strips" (docs/formats/
// layouts.md). A head of 128 bytes says what follows: payloads, headers, overflow list (record.hpp). Kernels read the
// head on the host before they run. Included by host code and by kernels; holds no CUDA. Plain values: [any thread].
#pragma once
#include <cstdint>

#include "plugins/linear/cuda/record.hpp"

namespace tare::linear_cuda {

inline constexpr char kStripsMagic[8] = {'t', 'a', 'r', 'e', 'r', 'e', 'c', 's'};
inline constexpr uint32_t kStripsVersion = 1;
inline constexpr int64_t kStripsHeadBytes = 128;

struct StripsHead {
  char magic[8] = {'t', 'a', 'r', 'e', 'r', 'e', 'c', 's'};
  uint32_t version = kStripsVersion;
  int32_t code = 0;  // WeightCode
  int32_t rows = 0, columns = 0;
  int32_t strips_per_block = 1, leaves = 1;
  int32_t header_blocks = 1, base = 0;  // w12: 16-byte blocks of a header; exponent of code 0
  int64_t overflow_entries = 0;
  int64_t payload_at = kStripsHeadBytes, headers_at = 0, overflow_at = 0;  // from the head's first byte
  int64_t bytes = 0;                                                       // of everything
  uint8_t zeros[48] = {};
};
static_assert(sizeof(StripsHead) == kStripsHeadBytes, "the head is one line of 128 bytes");

// The head of a matrix of these sizes, offsets and bytes filled in.
constexpr StripsHead strips_head(WeightCode code, const RecordOrder& order, int32_t leaves, int32_t header_blocks,
                                 int32_t base, int64_t overflow_entries) {
  StripsHead h;
  h.code = static_cast<int32_t>(code);
  h.rows = order.rows, h.columns = order.columns, h.strips_per_block = order.strips_per_block, h.leaves = leaves;
  h.header_blocks = header_blocks, h.base = base, h.overflow_entries = overflow_entries;
  h.headers_at = h.payload_at + order.records() * payload_bytes(code);
  h.overflow_at = h.headers_at + order.records() * header_bytes(code, header_blocks);
  h.bytes = (h.overflow_at + overflow_entries * 4 + 127) / 128 * 128;
  return h;
}

}  // namespace tare::linear_cuda
