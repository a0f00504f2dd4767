// The layouts of the dense code on the CPU: "dense/rows", the plain row-major matrix, and "dense/cpu-tiles"
// (cpu_tiles.hpp). Both hold the bits as they are.
#pragma once
#include <memory>

#include "core/api/kernel.hpp"

namespace tare::linear {

constexpr std::string_view kRows = "dense/rows", kCpuTiles = "dense/cpu-tiles";

std::unique_ptr<Layout> make_rows_layout();
std::unique_ptr<Layout> make_cpu_tiles_layout();

}  // namespace tare::linear
