// The coded products that are compiled for every instruction set (coded_highway_multiply.cpp), by target. [any thread]
#pragma once
#include "plugins/linear/coded.hpp"
#include "plugins/linear/cpu_multiply.hpp"

namespace tare::linear {

// x: F32 rows, row_stride apart, padded with zeros to whole chunks.
using CodedMultiplyFunction = void (*)(const CodedMatrix&, const MultiplyBlock&);
CodedMultiplyFunction coded_highway_function(CpuTarget target) noexcept;

}  // namespace tare::linear
