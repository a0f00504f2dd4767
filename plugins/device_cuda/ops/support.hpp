// What the candidates share: element types, shapes of rows. [any thread]
#pragma once
#include <string>

#include "core/api/kernel.hpp"
#include "plugins/device_cuda/ops/arguments.hpp"

namespace tare::cuda_ops {

inline bool is_float(DType dtype) noexcept { return dtype == DType::bf16 || dtype == DType::f32; }
inline Element element_of(DType dtype) noexcept { return dtype == DType::f32 ? Element::kF32 : Element::kBf16; }
inline std::string source(const char* file) { return std::string("plugins/device_cuda/ops/") + file; }

// `inputs` float tensors and one float result.
inline Verdict floats_only(const Problem& problem, size_t inputs) {
  const ProblemOp& p = problem.first();
  if (p.inputs.size() != inputs || p.results.size() != 1)
    return Verdict::no(p.inputs.size(), " inputs and ", p.results.size(), " results, expected ", inputs, " and 1");
  for (const auto* side : {&p.inputs, &p.results})
    for (const TensorInfo& t : *side)
      if (!is_float(t.dtype)) return Verdict::no("a tensor is ", name(t.dtype), ", expected bf16 or f32");
  return Verdict::yes();
}
inline uint32_t count(int64_t n) noexcept { return static_cast<uint32_t>(n); }
// Threads for `columns` numbers a row: whole warps, at most `most`.
inline uint32_t threads_for(int64_t columns, uint32_t most) noexcept {
  return std::min<uint32_t>(most, count((columns + 31) / 32 * 32));
}

}  // namespace tare::cuda_ops
