// The turning of one token's heads, compiled for several instruction sets (turn.cpp). No multiply is fused with an add
// and every pair is by itself, so all targets give the same bits. [any thread]
#pragma once
#include <cstdint>

#include "core/api/cpu_targets.hpp"

namespace tare::rotary {

struct Turn {
  const void* x = nullptr;
  void* out = nullptr;  // may be x
  bool bf16 = true;     // both; else F32
  bool neighbours = false;
  int64_t heads = 1, width = 0;  // of a head
  int64_t first = 0, pairs = 0;
  const float* cosine = nullptr;  // [pairs]
  const float* sine = nullptr;
  float magnitude = 1;
};
using TurnFunction = void (*)(const Turn&);
TurnFunction turn_function(CpuTarget target) noexcept;

}  // namespace tare::rotary
