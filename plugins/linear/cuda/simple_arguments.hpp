// What the plain kernels beside the fused ones take: the product of any shape and type, and the embedding's row gather.
// Included by host code and by kernels; holds no CUDA. Strides are in elements.
#pragma once
#include <cstdint>

#include "plugins/linear/cuda/record.hpp"

namespace tare::linear_cuda {

enum class Number : int32_t { kBf16 = 0, kF32 = 1 };

// reference.cuh: weights plain and row-major.
struct ReferenceConfig {
  Number activations = Number::kBf16, weights = Number::kBf16, output = Number::kBf16, bias = Number::kBf16;
};
struct ReferenceArguments {
  const void* activations;
  const void* weights;
  const void* bias;  // null: none
  void* output;
  int64_t rows, columns, tokens, activation_stride, output_stride;
};

// embed.cuh: `table` from plain rows, or from records.
struct EmbedConfig {
  bool records = false;
  WeightCode code = WeightCode::kDense;  // of records
  int32_t header_blocks = 1;
  Number table = Number::kBf16, output = Number::kBf16;
};
struct EmbedArguments {
  const void* table;  // plain rows
  const uint8_t* payload;
  const uint8_t* headers;
  const uint32_t* overflow;
  const int32_t* ids;
  void* output;
  int64_t output_stride;
  int32_t rows, columns, strips_per_block, base;
};

}  // namespace tare::linear_cuda
