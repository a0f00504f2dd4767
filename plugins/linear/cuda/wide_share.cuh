// Sums that the clusters of one tile hand to each other when they share its leaves (WideConfig::shares): each parks in
// L2 what the others need, then finishes its own part of the tokens, adding in leaf order. [device; whole warpgroup]
#pragma once
#include <cstdint>

#include "jit/cuh/barrier.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/fragment.cuh"

namespace tare::linear_cuda {

// Not before the flag: what other multiprocessors wrote, past L1.
__device__ __forceinline__ float4 load_parked(const float4* from) {
  float4 v;
  asm volatile("ld.global.cg.v4.f32 {%0,%1,%2,%3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "l"(from)
               : "memory");
  return v;
}

// The sums of a tile, in the order in which they are added: 0 is what the first share makes of its leaves, then every
// leaf of the other shares. Parts of 64 tokens go to the shares in order.
template <WideConfig config>
struct WideShare {
  static constexpr int kShares = config.shares, kLeaves = leaves_of_share(config), kSums = shared_sums(config);
  static constexpr int kParts = config.tokens / 64, kGroups = config.row_groups;

  const LinearArguments& arguments;
  int tile, share;  // of this cluster; the tile among those that are shared
  int rank, group, thread_of_group;

  __device__ __forceinline__ static constexpr int owner(int part) { return part * kShares / kParts; }
  __device__ __forceinline__ bool has(int part) const { return kShares == 1 || owner(part) == share; }
  __device__ __forceinline__ static bool finishes(int share) {
    return (share * kParts + kShares - 1) / kShares * kShares < (share + 1) * kParts;
  }
  // The sum that leaf `i` of this share is.
  __device__ __forceinline__ int sum_of(int i) const { return share == 0 ? 0 : (share - 1) * kLeaves + 1 + i; }

  __device__ __forceinline__ float4* place(int which, int part) const {
    const int at = (((tile * kSums + which) * kWideCluster + rank) * kParts + part) * kGroups + group;
    return reinterpret_cast<float4*>(arguments.partials) + int64_t{at} * (8 * 128) + thread_of_group;
  }

  // Sum `which`, for the other shares.
  __device__ __forceinline__ void park(int which, const float (&sum)[config.tokens / 2]) const {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      if (has(part)) continue;
      float4* to = place(which, part);
#pragma unroll
      for (int n = 0; n < 8; ++n) __stcg(to + n * 128, as_float4(sum + part * 32 + 4 * n));
    }
  }

  // Tells the others that everything is parked, and waits until they have done the same. Leaves the flags zero.
  __device__ __forceinline__ void exchange() const {
    device::named_sync(1 + group, 128);
    const int other = thread_of_group;
    if (other < kShares && other != share) {
      auto flag = [&](int from, int to) {
        return arguments.flags + (((tile * kShares + from) * kShares + to) * kWideCluster + rank) * kGroups + group;
      };
      if (finishes(other)) {
        asm volatile("fence.acq_rel.gpu;" ::: "memory");
        asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flag(share, other)), "r"(1) : "memory");
      }
      if (finishes(share)) {
        uint32_t there;
        do {
          asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(there) : "l"(flag(other, share)) : "memory");
        } while (there == 0);
        *flag(other, share) = 0;
      }
    }
    device::named_sync(1 + group, 128);
  }

  // 64 tokens of this share: sum <- all sums in order. `sum` is what the last leaf of this share gave (of the first
  // share: of all its leaves); before(n) the fragment of its first leaf, where a later share has two.
  template <class Before>
  __device__ __forceinline__ void finish(int part, float* sum, Before&& before) const {
    const int own = sum_of(kLeaves - 1);
    float4 all[kSums][8];
#pragma unroll
    for (int which = 0; which < kSums; ++which) {
      if (which == own || (kLeaves == 2 && share > 0 && which + 1 == own)) continue;
      const float4* from = place(which, part);
#pragma unroll
      for (int n = 0; n < 8; ++n) all[which][n] = load_parked(from + n * 128);
    }
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      float4 so_far{};
#pragma unroll
      for (int which = 0; which < kSums; ++which) {
        float4 v = all[which][n];
        if (which == own) v = as_float4(sum + 4 * n);
        if (kLeaves == 2 && share > 0 && which + 1 == own) v = before(n);
        if (which == 0)
          so_far = v;
        else
          add_to(so_far, v);
      }
      sum[4 * n] = so_far.x, sum[4 * n + 1] = so_far.y, sum[4 * n + 2] = so_far.z, sum[4 * n + 3] = so_far.w;
    }
  }
};

}  // namespace tare::linear_cuda
