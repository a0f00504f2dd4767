// Lays matrices out in records on the GPU itself, from plain numbers in its memory (pack.cuh). The same numbers as the
// host's encoder; overflow entries come in another order. One thread.
#pragma once
#include <memory>

#include "core/api/kernel.hpp"
#include "jit/jit.hpp"
#include "plugins/linear/cuda/record.hpp"

namespace tare::linear_cuda {

// densest: the code that is taken where it pays. Null where `device` launches no CUDA kernels.
Result<std::unique_ptr<DeviceEncoder>> make_strips_encoder(jit::Jit& jit, Device& device, WeightCode densest);

}  // namespace tare::linear_cuda
