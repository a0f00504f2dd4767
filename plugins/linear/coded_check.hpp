// Are these bytes a matrix of coded.hpp that kernels may be handed? Everything that they trust is checked: sizes,
// offsets of escapes, how many there are and where, the table, padding. Pure, [any thread].
#pragma once
#include <span>

#include "core/api/kernel.hpp"
#include "plugins/linear/coded.hpp"

namespace tare::linear {

// The header of a matrix in `code` as far as its sizes say, `bytes` up to the last chunk.
CodedHeader coded_header(const WeightInfo& weight, Coding code) noexcept;

// `densest`: the densest code that the layout's kernels read. `dense`: cpu-tiles, for matrices that lie plain.
Verdict check_coded(const WeightInfo& weight, Coding densest, const Layout& dense, std::span<const std::byte> in);

}  // namespace tare::linear
