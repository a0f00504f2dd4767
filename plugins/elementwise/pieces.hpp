// A piece of a row of an elementwise op, compiled for several instruction sets (pieces.cpp). Nothing is summed, no
// multiply is fused with an add, and tanh is worked out in double, so every target gives the same bits. [any thread]
#pragma once
#include <cstdint>

#include "core/api/cpu_targets.hpp"
#include "core/api/ops.hpp"

namespace tare::elementwise {

struct Piece {
  const void* a = nullptr;
  const void* b = nullptr;                             // where the op has two inputs
  void* out = nullptr;                                 // may be a or b
  bool a_bf16 = true, b_bf16 = true, out_bf16 = true;  // else F32
  int64_t count = 0;
  float factor = 1;  // scale's, rounded; soft_cap's cap
  Activation activation = Activation::none;
  const uint16_t* table = nullptr;  // gated, activate: round(activation(x)) of every BF16 x, where a and out are BF16
};
using PieceFunction = void (*)(const Piece&);
struct PieceFunctions {
  PieceFunction add = nullptr, scale = nullptr, soft_cap = nullptr, gated = nullptr, activate = nullptr;
};
PieceFunctions piece_functions(CpuTarget target) noexcept;

}  // namespace tare::elementwise
