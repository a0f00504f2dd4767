// What the linear candidates for CUDA read out of a Problem, checked once. [any thread]
#pragma once
#include <vector>

#include "core/api/kernel.hpp"

namespace tare::linear_cuda {

struct LinearProblem {
  DType x = DType::bf16;
  struct Part {  // of a stacked product
    WeightInfo weight;
    std::optional<WeightInfo> bias;
    DType result = DType::bf16;
  };
  std::vector<Part> parts;
};
// Fills `out`, or says what does not fit.
Verdict read_problem(const Problem& problem, LinearProblem& out) noexcept;

}  // namespace tare::linear_cuda
