// What the linear candidates for CUDA read out of a Problem, checked once. [any thread]
#pragma once
#include <vector>

#include "core/api/kernel.hpp"
#include "plugins/linear/cuda/arguments.hpp"

namespace tare::linear_cuda {

// What follows the product in a chain.
enum class Tail : uint8_t { none, add, gated };

struct LinearProblem {
  DType x = DType::bf16;
  struct Part {  // of a stacked product
    WeightInfo weight;
    std::optional<WeightInfo> bias;
    DType result = DType::bf16;
    size_t position = 0;                  // in the stack: its weight is number 2 * position of the launch
    Epilogue epilogue = Epilogue::kNone;  // of the last part alone
  };
  std::vector<Part> parts;  // in the stack's order, but for Tail::gated: the gate, then what it is multiplied by
  Epilogue epilogue = Epilogue::kNone;
};
// Fills `out`, or says what does not fit.
Verdict read_problem(const Problem& problem, Tail tail, LinearProblem& out) noexcept;

}  // namespace tare::linear_cuda
