// The products that are compiled for every instruction set (cpu_highway_multiply.cpp), by target. [any thread]
#pragma once
#include "plugins/linear/cpu_multiply.hpp"

namespace tare::linear {

// x: F32 rows, row_stride apart, padded with zeros to whole chunks when weights are BF16.
using MultiplyFunction = void (*)(const MultiplyBlock&);
struct HighwayFunctions {
  MultiplyFunction bf16_weights = nullptr, f32_weights = nullptr;
};
HighwayFunctions highway_functions(CpuTarget target) noexcept;

}  // namespace tare::linear
