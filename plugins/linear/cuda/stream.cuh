// Linear product with wgmma, leaf-aligned stream-K: the (tile, leaf) items lie in one row, block b takes an even
// stretch of it. Sums of leaves that other blocks computed come through global memory; whoever has leaf 0 of a tile
// adds them in leaf order and writes. An item is never cut, so every leaf is one sequence of K and the bits are those
// of the other kernels. sm_90a. All blocks must be resident at once (owners wait for contributors). Dependent launch
// allowed.
#pragma once
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/copy.cuh"
#include "jit/cuh/launch.cuh"
#include "jit/cuh/wgmma.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/decode.cuh"
#include "plugins/linear/cuda/fragment.cuh"
#include "plugins/linear/cuda/runs.cuh"
#include "plugins/linear/cuda/stack.cuh"
#include "plugins/linear/cuda/wgmma_parts.cuh"

namespace tare::linear_cuda {

inline constexpr int kStreamBand = 8;  // row tiles that share activations in L2 before the next token tile

// One matrix's product; `where`: which of its blocks this one is.
template <StreamConfig config, Epilogue epilogue, class Place>
__device__ __forceinline__ void stream_product(const device::TensorMap& activations, const RecordMaps& maps,
                                               const LinearArguments& arguments, const Place where) {
  using namespace device;
  static_assert(config.row_groups >= 1 && config.row_groups <= 4, "a block has 1 to 4 consumer warpgroups");
  static_assert(is_tile_width(config.tokens), "a tile has 48, 64, 96, 128, 192 or 256 tokens");
  static_assert(!(config.sum_leaves && config.tokens > 128),
                "more than 128 tokens leave no registers for a second set of sums");
  static_assert(shared_bytes(config) <= kMaxSharedBytes, "the ring must fit into shared memory: fewer stages");
  constexpr SlotShape kSlot = slot(config);
  constexpr int kStages = config.stages, kGroups = config.row_groups, kThreads = kGroups * 128;
  constexpr int kTiles = config.tokens / 8, kStrips = 4 * kGroups;
  constexpr int kPayload = payload_bytes(config.code), kHeader = header_bytes(config.code, config.header_blocks);

  extern __shared__ uint8_t shared_raw[];
  const uint32_t ring_activations = align_up(shared_address(shared_raw), 1024);
  const uint32_t ring_payload = ring_activations + kStages * kSlot.activation_bytes;
  const uint32_t ring_headers = ring_payload + kStages * kSlot.payload_bytes;
  const uint32_t full = ring_headers + kStages * kSlot.header_stride;
  const uint32_t empty = full + kStages * kBarrierBytes;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(full + i * kBarrierBytes, 1);
      barrier_init(empty + i * kBarrierBytes, kGroups * 4);
    }
    barrier_init_fence();
  }
  __syncthreads();
  allow_next_kernel();

  const int row_tiles = arguments.rows / (64 * kGroups);
  const int token_tiles = (arguments.tokens + config.tokens - 1) / config.tokens;
  const int leaves = arguments.leaves, steps = arguments.columns / kChunkColumns / leaves;
  const int64_t items = int64_t{row_tiles} * token_tiles * leaves;
  auto first_item = [&](int which) { return static_cast<int>(items * which / where.blocks()); };
  const int begin = first_item(where.block()), end = first_item(where.block() + 1);

  if (warp >= kGroups * 4) {
    give_registers<producer_registers(kGroups, config.tokens)>();
    // Walks the steps of all items of this block: visit(step number, place of the tile's records, chunk, first token).
    auto walk = [&](const auto& copier, int limit, auto&& visit) {
      int i = 0;
      for (int index = begin; index < end && i < limit; ++index) {
        const int tile = index / leaves, leaf = index - tile * leaves;
        const TilePlace place = place_tile(tile, row_tiles, token_tiles, kStreamBand);
        const RunSource source = copier.source(place.row_tile * kStrips);
        for (int step = 0; step < steps && i < limit; ++step, ++i) {
          visit(i, source, step * leaves + leaf, place.token_tile * config.tokens);
        }
      }
    };
    const uint64_t policy = token_tiles > 1 ? policy_evict_normal() : policy_evict_first();
    const int total = (end - begin) * steps;
    if (threadIdx.x == kThreads) {  // payloads: independent of the kernel before
      const RunCopier<kPayload, kStrips, 1, config.tensor_copies> copier{
          arguments.payload, &maps.payload, arguments.columns / kChunkColumns, arguments.strips_per_block, policy};
      RingPosition ring(1);
      walk(copier, total, [&](int, const RunSource& source, int chunk, int) {
        const uint32_t barrier = full + ring.slot * kBarrierBytes;
        barrier_wait(empty + ring.slot * kBarrierBytes, ring.parity);
        barrier_expect(barrier, kSlot.transaction_bytes());
        copier.issue(source, chunk, ring_payload + ring.slot * kSlot.payload_bytes, barrier);
        ring.advance<kStages>();
      });
    } else if (threadIdx.x == kThreads + 32) {  // headers, and activations once they are there
      const RunCopier<kHeader, kStrips, 1, config.tensor_copies> copier{
          arguments.headers, &maps.headers, arguments.columns / kChunkColumns, arguments.strips_per_block, policy};
      auto issue_headers = [&](int slot_index, const RunSource& source, int chunk, int) {
        if constexpr (kHeader > 0) {
          copier.issue(source, chunk, ring_headers + slot_index * kSlot.header_stride,
                       full + slot_index * kBarrierBytes);
        }
      };
      walk(copier, min(kStages, total), issue_headers);
      wait_for_inputs();
      RingPosition ring(1);
      walk(copier, total, [&](int i, const RunSource& source, int chunk, int token0) {
        if (i >= kStages) {
          barrier_wait(empty + ring.slot * kBarrierBytes, ring.parity);
          issue_headers(ring.slot, source, chunk, token0);
        }
        copy_tensor_3d(ring_activations + ring.slot * kSlot.activation_bytes, &activations, 0, token0, chunk,
                       full + ring.slot * kBarrierBytes);
        ring.advance<kStages>();
      });
    }
    return;
  }

  take_registers<consumer_registers(kGroups, config.tokens)>();
  const int group = warp / 4;
  const uint32_t bias = decode_bias();
  uint32_t patches = 0;
  if constexpr (config.code == WeightCode::kW11) {
    patches = patch_scratch<config>(kGroups * 4, warp, shared_address(shared_raw));
    clear_patches(patches, lane);
  }
  const uint32_t payload = ring_payload + warp * kPayload, header = ring_headers + warp * kHeader;
  float sum[config.tokens / 2], total[config.sum_leaves ? config.tokens / 2 : 1];
  uint32_t a[16], a_next[16];
  RingPosition ring(0);
  int busy_slot = -1;
  auto release_busy = [&] {
    if (busy_slot >= 0 && lane == 0) barrier_arrive(empty + busy_slot * kBarrierBytes);
  };
  auto step_into = [&](uint32_t(&registers)[16]) {
    barrier_wait(full + ring.slot * kBarrierBytes, ring.parity);
    load_record<config.code, config.header_blocks>(payload + ring.slot * kSlot.payload_bytes,
                                                   header + ring.slot * kSlot.header_stride, arguments.overflow, lane,
                                                   bias, patches, registers);
    const uint64_t b = wgmma_descriptor(ring_activations + ring.slot * kSlot.activation_bytes);
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < 4; ++s) Wgmma<config.tokens>::multiply(sum, registers + 4 * s, b + 2 * s);
    wgmma_commit();
    wgmma_wait<1>();
    release_busy();
    busy_slot = ring.slot;
    ring.advance<kStages>();
  };
  float4* workspace = reinterpret_cast<float4*>(arguments.partials);
  auto partial = [&](int which, int leaf, int n) {
    return workspace + ((int64_t{which} * leaves + leaf) * kTiles + n) * kThreads + threadIdx.x;
  };

  for (int index = begin; index < end; ++index) {
    const int tile = index / leaves, leaf = index - tile * leaves;
    const TilePlace place = place_tile(tile, row_tiles, token_tiles, kStreamBand);
    const int row0 = (place.row_tile * kGroups + group) * 64 + warp % 4 * 16;
#pragma unroll
    for (int i = 0; i < config.tokens / 2; ++i) sum[i] = 0.f;
    int step = 0;
    for (; step + 1 < steps; step += 2) {
      step_into(a);
      step_into(a_next);
    }
    if (step < steps) step_into(a);
    wgmma_wait<0>();
    release_busy();
    busy_slot = -1;

    // This block's stretch of the tile's leaves: [first, last].
    const int first = max(begin, tile * leaves) - tile * leaves,
              last = min(end, tile * leaves + leaves) - 1 - tile * leaves;
    if (first > 0) {  // a contributor: park the sums, one slot a leaf
#pragma unroll
      for (int n = 0; n < kTiles; ++n) __stcg(partial(where.block(), leaf, n), as_float4(sum + 4 * n));
      asm volatile("fence.acq_rel.gpu;" ::: "memory");
      named_sync(1, kThreads);
      if (threadIdx.x == 0) {
        asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(arguments.flags + tile) : "memory");
      }
      continue;
    }
    // The owner. Without a second set of sums it has exactly leaf 0 (or there is only one leaf), so `sum` is the total.
    float* result = sum;
    if constexpr (config.sum_leaves) {
#pragma unroll
      for (int i = 0; i < config.tokens / 2; ++i) total[i] = leaf == 0 ? sum[i] : total[i] + sum[i];
      result = total;
      if (leaf < last) continue;
    }
    if (last + 1 < leaves) {
      if (threadIdx.x == 0) {
        uint32_t arrived;
        do {
          asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(arrived) : "l"(arguments.flags + tile) : "memory");
        } while (arrived != static_cast<uint32_t>(leaves - 1 - last));
        arguments.flags[tile] = 0;
      }
      named_sync(1, kThreads);
      int contributor = where.block();
      for (int other = last + 1; other < leaves; ++other) {
        while (first_item(contributor + 1) <= tile * leaves + other) ++contributor;
#pragma unroll
        for (int n = 0; n < kTiles; ++n) {
          const float4 v = __ldcg(partial(contributor, other, n));
          result[4 * n] += v.x, result[4 * n + 1] += v.y, result[4 * n + 2] += v.z, result[4 * n + 3] += v.w;
        }
      }
    }
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      store_fragment<epilogue>(arguments, place.token_tile * config.tokens + n * 8, row0, lane,
                               as_float4(result + 4 * n));
    }
  }
}

template <StreamConfig config, Epilogue epilogue = Epilogue::kNone>
__global__ __launch_bounds__(threads(config), 1) void stream(const __grid_constant__ device::TensorMap activations,
                                                             const __grid_constant__ RecordMaps maps,
                                                             const LinearArguments arguments) {
  stream_product<config, epilogue>(activations, maps, arguments, WholeGrid{});
}

template <StreamConfig config>
__global__ __launch_bounds__(threads(config),
                             1) void stream_stack(const __grid_constant__ device::TensorMap activations,
                                                  const __grid_constant__ StackedMaps maps,
                                                  const __grid_constant__ StackedArguments stack) {
  const StackPlace place(stack);
  const LinearArguments& arguments = stack.part[place.part];
  stream_product<config, Epilogue::kNone>(activations, maps.part[place.part], arguments, place);
}

}  // namespace tare::linear_cuda
