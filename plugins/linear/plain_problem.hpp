// The problem of one product of BF16 numbers on a CPU, as measuring programs and fuzzers ask kernels for it. [any
// thread]
#pragma once
#include <optional>

#include "core/api/device.hpp"
#include "core/api/kernel.hpp"
#include "core/api/ops.hpp"

namespace tare::linear {

inline Problem plain_problem(const Device& device, const WeightInfo& info, int64_t rows) {
  Problem p;
  p.device_kind = "cpu", p.features = device.info().features, p.rows = rows;
  ProblemOp op;
  op.op = Linear::kOp, op.attributes = to_attributes(Linear{});
  op.inputs = {{{{1, Axis::tokens}, info.inputs()}, DType::bf16}};
  op.results = {{{{1, Axis::tokens}, info.outputs()}, DType::bf16}};
  op.weights = {info, std::nullopt};
  p.ops = {op};
  return p;
}

}  // namespace tare::linear
