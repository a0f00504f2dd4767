// "linear_lab/2" for CUDA: numbers made and compared by kernels, and the bench of a layer (measure.hpp). [any thread]
#pragma once
#include <memory>

#include "autotune/linear_lab.hpp"
#include "jit/jit.hpp"

namespace tare::linear_cuda {

// The jit outlives it.
std::shared_ptr<LinearLab> make_linear_lab(jit::Jit& jit);

}  // namespace tare::linear_cuda
