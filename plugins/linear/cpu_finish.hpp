// What happens to sums on their way out, shared by all fast kernels, so that a fused chain and its separate ops cannot
// differ: bias, the product's rounding, then the chain's tail with the roundings that it would have alone.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/api/cpu_targets.hpp"
#include "core/api/dtype.hpp"
#include "core/api/ops.hpp"
#include "plugins/linear/cpu_problem.hpp"

namespace tare::linear {

// round(activation(x)) for every BF16 x: exact by construction, and 20 times faster than std::exp.
class ActivationTable {
 public:
  explicit ActivationTable(Activation activation);
  const uint16_t* values() const noexcept { return values_.data(); }  // [65536]

 private:
  std::vector<uint16_t> values_;
};

// Up to 64 outputs of some rows. `sums` rows lie 64 floats apart; `out` and `residual` are at the first output.
struct Finish {
  Tail tail = Tail::none;
  DType result = DType::bf16, out_dtype = DType::bf16, residual_dtype = DType::bf16;
  int64_t rows = 0, outputs = 64;
  const float* sums = nullptr;         // gated: of the gate
  const float* second_sums = nullptr;  // gated: of up
  const float* bias = nullptr;         // [64], or null; gated: of the gate
  const float* second_bias = nullptr;
  void* out = nullptr;
  int64_t out_stride = 0;  // in elements
  const void* residual = nullptr;
  int64_t residual_stride = 0;
  Activation activation = Activation::none;
  const uint16_t* table = nullptr;  // gated in BF16
};
using FinishFunction = void (*)(const Finish&);
FinishFunction finish_for(CpuTarget target) noexcept;

}  // namespace tare::linear
