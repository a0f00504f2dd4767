// Programmatic dependent launch, cluster rank, hand-over of registers between warpgroups (sm_90 and up). [device]
#pragma once
#include <cstdint>

namespace tare::device {

// The next kernel of the stream may be launched now; it still waits for our results where it calls wait_for_inputs().
__device__ __forceinline__ void allow_next_kernel() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

// Returns once the kernel before has finished and its writes are visible. Every block must call it in some thread
// before it ends, or "the kernel before has finished" would not carry over to the kernel after.
__device__ __forceinline__ void wait_for_inputs() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

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
