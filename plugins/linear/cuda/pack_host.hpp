// Choices of the packer, made on the host from counts. Pure: [any thread].
#pragma once
#include <array>
#include <cstdint>

namespace tare::linear_cuda {

struct WindowChoice {
  int32_t base = 0;      // exponent of code 0
  uint64_t outside = 0;  // weights that become escapes
};

// The window of 16 exponents that covers most weights; among equals the highest. histogram[e]: weights with exponent e.
WindowChoice choose_window(const std::array<uint64_t, 256>& histogram);

// Header blocks (1, 2, 4) for a matrix, or 0: dense. overflow: escapes beyond the header when headers have `tried`
// blocks. An overflow list in global memory costs a kernel far more than a longer header, so a header grows as soon as
// more than one record in 16 would read it; past 4 blocks dense is both faster and simpler.
int32_t choose_header_blocks(int32_t tried, uint32_t overflow, int64_t records);

}  // namespace tare::linear_cuda
