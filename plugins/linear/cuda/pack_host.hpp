// Choices of the packer, made on the host from counts. Pure: [any thread].
#pragma once
#include <array>
#include <cstdint>

#include "plugins/linear/cuda/record.hpp"

namespace tare::linear_cuda {

struct WindowChoice {
  int32_t base = 0;      // exponent of code 0
  uint64_t outside = 0;  // weights that become escapes
};

// The window of `window` exponents that covers most weights; among equals the highest. histogram[e]: weights with
// exponent e.
WindowChoice choose_window(const std::array<uint64_t, 256>& histogram, int window = kWindow);

// Header blocks for a matrix, or 0: another code. overflow: escapes beyond the header when headers have `tried` blocks.
// An overflow list in global memory costs a kernel far more than a longer header, so a header grows as soon as more
// than one record in 16 would read it. w12 has 1, 2 or 4 blocks: past 4 dense is both faster and simpler. w11 has 3 or
// 4: past 4 it would not be below 11.5 bits.
int32_t choose_header_blocks(int32_t tried, uint32_t overflow, int64_t records, WeightCode code = WeightCode::kW12);
constexpr int32_t first_header_blocks(WeightCode code) { return code == WeightCode::kW11 ? 3 : 1; }

}  // namespace tare::linear_cuda
