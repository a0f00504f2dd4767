// What every linear kernel takes: one plain struct by value. Included by host code and by kernels; holds no CUDA.
#pragma once
#include <cstdint>

namespace tare::linear_cuda {

// What a kernel does with a product y, rounded to bf16, and the number `other` at its
// place: kAdd gives other + y, the rest act(other) rounded, times y; each rounded once more.
enum class Epilogue : int32_t { kNone = 0, kAdd = 1, kSilu = 2, kGelu = 3, kGeluTanh = 4, kRelu = 5 };

// output[token][row] = scale * sum over k of activations[token][k] * weights[row][k], both bf16, added in float in the
// matrix's own order: leaf l adds the chunks l, l + leaves, l + 2*leaves, ... in sequence from zero; the leaves are
// added in order.
struct LinearArguments {
  const uint8_t* payload;       // records, record.hpp
  const uint8_t* headers;       // null for dense
  const uint32_t* overflow;     // escapes beyond the headers'
  const uint16_t* activations;  // [tokens][columns]; kernels with a tensor map read through that
  uint16_t* output;             // [tokens][rows]; null: output_f32
  float* partials;              // workspace of kernels that split tiles over blocks
  uint32_t* flags;              // zero before the first launch, left zero by every launch
  float scale;                  // 2^(base - 112); 1 for dense
  int32_t tokens;
  int32_t rows;
  int32_t columns;
  int32_t strips_per_block;
  int32_t leaves;
  const uint16_t* bias;  // [rows], added to the scaled sum before the one rounding; null: none
  float* output_f32;     // [tokens][rows], not rounded; without an epilogue, by kernels that finish by store_fragment()
  // Only kernels with an epilogue look at it: [tokens][rows], written by a kernel before.
  const uint16_t* other;
  // One of two launches that follow each other over the same activations and run beside each other: the first (without
  // epilogue) lets the second start once its inputs are there, the second (with one) waits for the first's results
  // only. Only kernels that use no workspace look at it.
  int32_t paired;
};

// Matrices over the same activations in one launch (stack.cuh). Parts that are not there have no blocks.
inline constexpr int kMostStacked = 4;
struct StackedArguments {
  LinearArguments part[kMostStacked];
  int32_t first_block[kMostStacked + 1];
};

// What the packer and its inverse take (pack.cuh).
struct PackArguments {
  uint16_t* plain;  // [rows][columns], row-major; the packer only reads it
  uint8_t* payload;
  uint8_t* headers;    // null for dense
  uint32_t* overflow;  // the packer fills at most overflow_capacity entries
  uint32_t* counters;  // [0] overflow entries wanted, [1] weights that w12 cannot hold; zero before the launch
  int32_t rows;
  int32_t columns;
  int32_t strips_per_block;
  int32_t base;  // exponent of code 0
  uint32_t overflow_capacity;
};

}  // namespace tare::linear_cuda
