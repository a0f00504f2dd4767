// The smallest ring between the copy engine and a warp: one thread fills two slots by bulk copies, one warp sums them;
// mbarriers alone order the two. What every producer of plugins/linear/cuda does, with nothing around it.
#pragma once
#include "jit/cuh/address.cuh"
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/copy.cuh"
#include "jit/cuh/warp.cuh"

namespace tare::ring_test {

inline constexpr int kSlots = 2, kSlotBytes = 1024;

// sum[0] = sum of the `steps` * 256 words at `words`. 64 threads; the second warp's first thread produces.
__global__ __launch_bounds__(64) void ring(const uint8_t* words, int32_t steps, uint32_t* sum) {
  using namespace device;
  __shared__ alignas(128) uint8_t slots[kSlots * kSlotBytes];
  __shared__ alignas(8) uint64_t barriers[2 * kSlots];
  const uint32_t data = shared_address(slots), full = shared_address(barriers), empty = full + kSlots * 8;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kSlots; ++i) barrier_init(full + i * 8, 1), barrier_init(empty + i * 8, 1);
    barrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x == 32) {
    RingPosition position(1);
    for (int i = 0; i < steps; ++i) {
      barrier_wait(empty + position.slot * 8, position.parity);
      barrier_expect(full + position.slot * 8, kSlotBytes);
      copy_bulk(data + position.slot * kSlotBytes, words + int64_t{i} * kSlotBytes, kSlotBytes,
                full + position.slot * 8, policy_evict_normal());
      position.advance<kSlots>();
    }
  }
  if (threadIdx.x >= 32) return;
  uint32_t mine = 0;
  RingPosition position(0);
  for (int i = 0; i < steps; ++i) {
    barrier_wait(full + position.slot * 8, position.parity);
    for (int part = 0; part < 2; ++part) {
      const uint4 v = load_shared_16(data + position.slot * kSlotBytes + part * 512 + threadIdx.x * 16);
      mine += v.x + v.y + v.z + v.w;
    }
    asm volatile("" : "+r"(mine));  // added up before the slot is given back
    __syncwarp();
    if (threadIdx.x == 0) barrier_arrive(empty + position.slot * 8);
    position.advance<kSlots>();
  }
  mine = __reduce_add_sync(kAllLanes, mine);
  if (threadIdx.x == 0) *sum = mine;
}

}  // namespace tare::ring_test
