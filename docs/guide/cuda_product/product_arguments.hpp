// What the kernel takes: a plain struct by value, read by host and device alike. Strides are in numbers.
#pragma once
#include <cstdint>

namespace org_example {

inline constexpr int kPiece = 8;  // bf16 numbers: one access of 16 bytes

struct ProductArguments {
  const uint16_t* x;        // [tokens][columns]
  const uint16_t* weights;  // [rows][columns]
  const uint16_t* bias;     // [rows], or null
  void* output;             // [tokens][rows]: bf16, or f32 for logits
  int64_t rows, columns, tokens, x_stride, output_stride;
  bool aligned;  // do all rows of x and of the weights begin at multiples of 16 bytes?
};

}  // namespace org_example
