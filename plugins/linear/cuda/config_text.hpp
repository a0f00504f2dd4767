// Configurations as KernelConfig (the printable form that tuning files hold) and back. What the matrix decides itself,
// its code and the length of its headers, is left out. Pure: [any thread].
#pragma once
#include "core/api/kernel.hpp"
#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda {

// {kernel = strip, tokens = 8, ...}; empty for a kernel that has no text form.
KernelConfig to_config(const AnyConfig& config);
Result<AnyConfig> from_config(const KernelConfig& config);

// The config for a matrix of this code and header length, with as many ring slots as then fit.
AnyConfig adapted(const AnyConfig& config, const MatrixShape& matrix);

}  // namespace tare::linear_cuda
