// Two products over the same activations that run beside each other, of which the second's epilogue takes the first's
// results (gate and up): neither fills the device to its end alone, together they do. Dependent launch orders them:
// the second may start when every block of the first has its inputs, so these are there for the second as well.
// [device]
#pragma once
#include "jit/cuh/launch.cuh"
#include "plugins/linear/cuda/arguments.hpp"

namespace tare::linear_cuda {

// At a block's start, all threads.
template <Epilogue epilogue>
__device__ __forceinline__ void start_of_pair(const LinearArguments& arguments) {
  if (epilogue != Epilogue::kNone || !arguments.paired) device::allow_next_kernel();
}

// Where the activations are wanted, the thread that fetches them.
template <Epilogue epilogue>
__device__ __forceinline__ void inputs_of_pair(const LinearArguments& arguments) {
  if (epilogue == Epilogue::kNone || !arguments.paired) device::wait_for_inputs();
  if (epilogue == Epilogue::kNone && arguments.paired) device::allow_next_kernel();
}

// Before the epilogue reads what the first wrote, all threads that do.
template <Epilogue epilogue>
__device__ __forceinline__ void end_of_pair(const LinearArguments& arguments) {
  if (epilogue != Epilogue::kNone && arguments.paired) device::wait_for_inputs();
}

}  // namespace tare::linear_cuda
