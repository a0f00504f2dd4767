// Programmatic dependent launch (nothing before sm_90, where kernels run one after the other), cluster rank, hand-over
// of registers between warpgroups (sm_90 and up). [device]
#pragma once
#include <cstdint>

namespace tare::device {

// A kernel that is launched dependent starts as soon as all blocks of the kernel ahead have called allow_next_kernel()
// or ended. Until wait_for_inputs() it may read only what no kernel writes (weights), and write nothing.

// The next kernel of the stream may be launched now; it still waits for our results where it calls wait_for_inputs().
__device__ __forceinline__ void allow_next_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Returns once the kernel before has finished and its writes are visible. Every block must call it in some thread
// before it ends, or "the kernel before has finished" would not carry over to the kernel after.
__device__ __forceinline__ void wait_for_inputs() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The first line of a kernel that can do nothing before its inputs are there. A kernel that every thread begins so may
// be launched dependent.
__device__ __forceinline__ void begin_overlapped() {
  allow_next_kernel();
  wait_for_inputs();
}

__device__ __forceinline__ uint32_t cluster_rank() {
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// sm_90a; all warps of a warpgroup. The sum over the block may not exceed what the launch allocated, or the kernel
// hangs.
template <int registers>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

}  // namespace tare::device
