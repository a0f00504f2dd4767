// What runs a linear layer on a GPU: each matrix of a stack is one product of the catalogue, all launched as one where
// they share a config, else one after the other; the last one may carry an epilogue. Which configs a matrix may have,
// and what they need. An Instance is launched by one thread at a time, the functions are pure.
#pragma once
#include <memory>
#include <vector>

#include "plugins/linear/cuda/problem.hpp"
#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda {

// A matrix as it will lie when its code pays: what configs are chosen for before a number of it was seen.
MatrixShape expected_shape(const WeightInfo& weight) noexcept;
// Not every kernel writes f32: writes_f32().
bool needs_f32(const LinearProblem::Part& part) noexcept;
// The catalogue's configs for a part, best guess first.
std::vector<AnyConfig> configs_for(const LinearProblem::Part& part, const MatrixShape& shape, int32_t rows,
                                   int32_t multiprocessors, std::string_view architecture);
// Of a whole problem: of a stack the largest matrix decides, but what all take, and so run in one launch, comes first.
std::vector<AnyConfig> configs_for(const LinearProblem& problem, int32_t rows, int32_t multiprocessors,
                                   std::string_view architecture);
// Bytes of workspace for a stack whose chosen config is `config`: other matrices may take another kernel.
int64_t workspace_bytes(const LinearProblem& problem, const AnyConfig& config, int32_t rows, int32_t multiprocessors,
                        std::string_view architecture);

std::unique_ptr<Instance> make_fused_instance(jit::Jit& jit, Device& device, jit::CudaLaunch& launcher,
                                              LinearProblem problem, const AnyConfig& config, int32_t rows);

}  // namespace tare::linear_cuda
