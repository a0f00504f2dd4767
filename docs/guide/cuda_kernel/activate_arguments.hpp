// What the kernel takes: a plain struct by value, read by host and device alike. Strides are in numbers.
#pragma once
#include <cstdint>

namespace org_example {

inline constexpr int kPerThread = 8;  // bf16 numbers: one access of 16 bytes

struct ActivateArguments {
  const uint16_t* input;
  uint16_t* output;
  int64_t columns, input_stride, output_stride;
  bool aligned;  // do all rows begin at multiples of 16 bytes?
};

}  // namespace org_example
