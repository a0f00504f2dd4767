// One row of norm/1, compiled for several instruction sets (rows.cpp). Sums have 16 fixed lanes: element i goes to lane
// i mod 16, lanes are added pairwise, and no multiply is fused with an add, so every target gives the same bits. [any
// thread]
#pragma once
#include <cstdint>

#include "core/api/cpu_targets.hpp"

namespace tare::norm {

constexpr int64_t kSumLanes = 16;

struct Row {
  const void* x = nullptr;
  void* out = nullptr;                  // may be x
  bool x_bf16 = true, out_bf16 = true;  // else F32
  int64_t groups = 1, width = 0;        // the row is `groups` times `width` elements, each normalised by itself
  const float* scale = nullptr;         // [width rounded up to 16], or null: 1
  const float* bias = nullptr;          // the same, or null: 0
  bool layer = false;
  float eps = 0;
};
using RowFunction = void (*)(const Row&);
RowFunction row_function(CpuTarget target) noexcept;

}  // namespace tare::norm
