// The layouts for CUDA: one resident copy of a matrix in records (record.hpp, strips.hpp). Where K is no multiple of 64
// or N none of 16 they say no, and the matrix lies in "dense/rows". How a matrix is cut (strips a block, leaves)
// depends on its sizes alone, so that the bytes and the order of its sums are the same on every machine. [any thread]
#pragma once
#include <memory>

#include "core/api/kernel.hpp"
#include "plugins/linear/cuda/product.hpp"
#include "plugins/linear/cuda/strips.hpp"

namespace tare::linear_cuda {

constexpr std::string_view kDenseStrips = "dense/cuda-strips", kW12Strips = "w12/cuda-strips",
                           kW11Strips = "w11/cuda-strips";
constexpr bool is_strips(std::string_view layout) {
  return layout == kDenseStrips || layout == kW12Strips || layout == kW11Strips;
}
// Above so many escapes a weight, longer headers and lists would eat what the code saves.
constexpr double most_escapes(WeightCode code) { return code == WeightCode::kW11 ? 0.03 : 0.01; }

// Does the matrix fit into records? Otherwise what does not.
Verdict fits_records(const WeightInfo& weight) noexcept;
// Order and leaves of a matrix that fits.
RecordOrder order_of(const WeightInfo& weight) noexcept;
int32_t leaves_of(const WeightInfo& weight) noexcept;

// Reads a head; refused when it is none, or of another matrix than `weight`.
Result<StripsHead> read_head(const void* head, int64_t bytes, const WeightInfo& weight);
MatrixShape shape_of(const StripsHead& head) noexcept;

// With a compiler, which outlives them, they also lay matrices out on the GPU itself.
std::unique_ptr<Layout> make_dense_strips(jit::Jit* jit = nullptr);
std::unique_ptr<Layout> make_w12_strips(jit::Jit* jit = nullptr);
std::unique_ptr<Layout> make_w11_strips(jit::Jit* jit = nullptr);

}  // namespace tare::linear_cuda
