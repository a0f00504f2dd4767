// Linear product with wgmma: weights decoded into registers (operand A), activations in shared memory (operand B). A
// tile belongs to one cluster of blocks; the leaves of the K sum lie over warpgroups and blocks and meet in distributed
// shared memory, added in leaf order. With one leaf, a block walks over tiles block, + blocks, ...; with more,
// the grid is tiles * cluster. sm_90a. Launch: threads(config), shared_bytes(config), cluster config.cluster; dependent
// launch allowed.
#pragma once
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/copy.cuh"
#include "jit/cuh/launch.cuh"
#include "jit/cuh/wgmma.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/decode.cuh"
#include "plugins/linear/cuda/fragment.cuh"
#include "plugins/linear/cuda/pair.cuh"
#include "plugins/linear/cuda/runs.cuh"
#include "plugins/linear/cuda/stack.cuh"
#include "plugins/linear/cuda/wgmma_parts.cuh"

namespace tare::linear_cuda {

// One matrix's product; `where`: which of its blocks this one is.
template <ClusterConfig config, Epilogue epilogue, class Place>
__device__ __forceinline__ void cluster_product(const device::TensorMap& activations, const RecordMaps& maps,
                                                const LinearArguments& arguments, const Place where) {
  using namespace device;
  static_assert(warpgroups(config) >= 1 && warpgroups(config) <= 4, "a block has 1 to 4 consumer warpgroups");
  static_assert(config.cluster == 1 || config.cluster == 2, "clusters of 4 and 8 leave multiprocessors idle on Hopper");
  static_assert(is_tile_width(config.tokens), "a tile has 48, 64, 96, 128, 192 or 256 tokens");
  static_assert(shared_bytes(config) <= kMaxSharedBytes, "the ring must fit into shared memory: fewer stages");
  constexpr SlotShape kSlot = slot(config);
  constexpr int kStages = config.stages, kGroups = warpgroups(config), kThreads = kGroups * 128;
  constexpr int kTiles = config.tokens / 8, kStrips = 4 * config.row_groups, kLeaves = leaves(config);
  constexpr int kTileBytes = config.tokens * kChunkColumns * 2;
  constexpr int kPayload = payload_bytes(config.code), kHeader = header_bytes(config.code, config.header_blocks);

  extern __shared__ uint8_t shared_raw[];
  const uint32_t base = align_up(shared_address(shared_raw), 1024);
  const uint32_t full = base;  // barriers first: the reduction lies over the ring
  const uint32_t empty = full + kStages * kBarrierBytes;
  const uint32_t ring_activations = align_up(base + 2 * kStages * kBarrierBytes, 1024);
  const uint32_t ring_payload = ring_activations + kStages * kSlot.activation_bytes;
  const uint32_t ring_headers = ring_payload + kStages * kSlot.payload_bytes;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t rank = config.cluster > 1 ? cluster_rank() : 0;

  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(full + i * kBarrierBytes, 1);
      barrier_init(empty + i * kBarrierBytes, kGroups * 4);
    }
    barrier_init_fence();
  }
  __syncthreads();
  start_of_pair<epilogue>(arguments);

  const int row_tiles = arguments.rows / (64 * config.row_groups);
  const int token_tiles = (arguments.tokens + config.tokens - 1) / config.tokens;
  const int tiles = row_tiles * token_tiles, steps = arguments.columns / kChunkColumns / kLeaves;
  const int first_tile = where.block() / config.cluster, stride = where.blocks() / config.cluster;

  if (warp >= kGroups * 4) {
    give_registers<producer_registers(kGroups, config.tokens)>();
    const int my_tiles = (tiles - first_tile + stride - 1) / stride, total = my_tiles * steps;
    // Walks the steps of all tiles of this block: visit(step number, place of the tile's records, chunk, first token).
    auto walk = [&](const auto& copier, int limit, auto&& visit) {
      int tile = first_tile, step = 0;
      RunSource source = copier.source(tile / token_tiles * kStrips);
      for (int i = 0; i < limit; ++i) {
        visit(i, source, step * kLeaves + static_cast<int>(rank) * config.k_groups, tile % token_tiles * config.tokens);
        if (++step == steps) {
          step = 0;
          tile += stride;
          source = copier.source(tile / token_tiles * kStrips);
        }
      }
    };
    if (threadIdx.x == kThreads) {  // payloads: independent of the kernel before
      const RunCopier<kPayload, kStrips, config.k_groups, config.tensor_copies> copier{
          arguments.payload, &maps.payload, arguments.columns / kChunkColumns, arguments.strips_per_block,
          policy_evict_first()};
      RingPosition ring(1);
      walk(copier, total, [&](int, const RunSource& source, int chunk, int) {
        const uint32_t barrier = full + ring.slot * kBarrierBytes;
        barrier_wait(empty + ring.slot * kBarrierBytes, ring.parity);
        barrier_expect(barrier, kSlot.transaction_bytes());
        copier.issue(source, chunk, ring_payload + ring.slot * kSlot.payload_bytes, barrier);
        ring.advance<kStages>();
      });
    } else if (threadIdx.x == kThreads + 32) {  // headers, and activations once they are there
      const RunCopier<kHeader, kStrips, config.k_groups, config.tensor_copies> copier{
          arguments.headers, &maps.headers, arguments.columns / kChunkColumns, arguments.strips_per_block,
          policy_evict_first()};
      auto issue_headers = [&](int slot_index, const RunSource& source, int chunk, int) {
        if constexpr (kHeader > 0) {
          copier.issue(source, chunk, ring_headers + slot_index * kSlot.header_stride,
                       full + slot_index * kBarrierBytes);
        }
      };
      walk(copier, min(kStages, total), issue_headers);
      inputs_of_pair<epilogue>(arguments);
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
    if constexpr (config.cluster > 1) {
      __syncwarp();
      cluster_sync();
      cluster_sync();
    }
    return;
  }

  take_registers<consumer_registers(kGroups, config.tokens)>();
  const int group = warp / 4, row_group = group % config.row_groups, k_group = group / config.row_groups;
  const int thread_of_group = threadIdx.x % 128;
  const uint32_t bias = decode_bias();
  uint32_t patches = 0;
  if constexpr (config.code == WeightCode::kW11) {
    patches = patch_scratch<config>(kGroups * 4, warp, shared_address(shared_raw));
    clear_patches(patches, lane);
  }
  const int record =
      slot_record<kStrips, config.k_groups>(row_group * 4 + warp % 4, k_group, arguments.strips_per_block);
  const uint32_t payload = ring_payload + record * kPayload, header = ring_headers + record * kHeader;
  float sum[config.tokens / 2];
  uint32_t a[16], a_next[config.overlap ? 16 : 1];
  RingPosition ring(0);
  int busy_slot = -1;  // read by the wgmma group that may still run
  auto release_busy = [&] {
    if (busy_slot >= 0 && lane == 0) barrier_arrive(empty + busy_slot * kBarrierBytes);
  };
  // One chunk. With overlap the multiplication of the chunk before runs on while this one is decoded into the other
  // registers.
  auto step_into = [&](uint32_t(&registers)[16]) {
    barrier_wait(full + ring.slot * kBarrierBytes, ring.parity);
    if constexpr (!config.overlap) {
      wgmma_wait<0>();
      release_busy();
    }
    load_record<config.code, config.header_blocks>(payload + ring.slot * kSlot.payload_bytes,
                                                   header + ring.slot * kSlot.header_stride, arguments.overflow, lane,
                                                   bias, patches, registers);
    const uint64_t b = wgmma_descriptor(ring_activations + ring.slot * kSlot.activation_bytes + k_group * kTileBytes);
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < 4; ++s) Wgmma<config.tokens>::multiply(sum, registers + 4 * s, b + 2 * s);
    wgmma_commit();
    if constexpr (config.overlap) {
      wgmma_wait<1>();
      release_busy();
    }
    busy_slot = ring.slot;
    ring.advance<kStages>();
  };

  for (int tile = first_tile; tile < tiles; tile += stride) {
    const int token0 = tile % token_tiles * config.tokens;
    const int row0 = (tile / token_tiles * config.row_groups + row_group) * 64 + warp % 4 * 16;
#pragma unroll
    for (int i = 0; i < config.tokens / 2; ++i) sum[i] = 0.f;
    if constexpr (config.overlap) {
      int step = 0;
      for (; step + 1 < steps; step += 2) {
        step_into(a);
        step_into(a_next);
      }
      if (step < steps) step_into(a);
    } else {
      for (int step = 0; step < steps; ++step) step_into(a);
    }
    wgmma_wait<0>();
    release_busy();
    busy_slot = -1;

    end_of_pair<epilogue>(arguments);
    if constexpr (kLeaves == 1) {
#pragma unroll
      for (int n = 0; n < kTiles; ++n)
        store_fragment<epilogue>(arguments, token0 + n * 8, row0, lane, as_float4(sum + 4 * n));
    } else {
      // Sums over the drained ring; then every leaf's warpgroup adds its share of the tokens, leaf by leaf.
      auto place = [&](int group_of_k, int n) {
        return ring_activations +
               (((group_of_k * config.row_groups + row_group) * kTiles + n) * 128 + thread_of_group) * 16;
      };
      named_sync(1, kThreads);
#pragma unroll
      for (int n = 0; n < kTiles; ++n) store_shared_float4(place(k_group, n), as_float4(sum + 4 * n));
      if constexpr (config.cluster > 1) {
        cluster_sync();
      } else {
        named_sync(1, kThreads);
      }
      constexpr int kShare = (kTiles + kLeaves - 1) / kLeaves;
      const int first = (static_cast<int>(rank) * config.k_groups + k_group) * kShare;
#pragma unroll
      for (int i = 0; i < kShare; ++i) {
        const int n = first + i;
        if (n >= kTiles) break;
        float4 part[kLeaves];
#pragma unroll
        for (int leaf = 0; leaf < kLeaves; ++leaf) {
          const uint32_t address = place(leaf % config.k_groups, n);
          part[leaf] =
              config.cluster > 1 ? load_cluster_float4(address, leaf / config.k_groups) : load_shared_float4(address);
        }
#pragma unroll
        for (int leaf = 1; leaf < kLeaves; ++leaf) add_to(part[0], part[leaf]);
        store_fragment<epilogue>(arguments, token0 + n * 8, row0, lane, part[0]);
      }
      if constexpr (config.cluster > 1) cluster_sync();
    }
  }
}

template <ClusterConfig config, Epilogue epilogue = Epilogue::kNone>
__global__ __launch_bounds__(threads(config), 1) void cluster(const __grid_constant__ device::TensorMap activations,
                                                              const __grid_constant__ RecordMaps maps,
                                                              const LinearArguments arguments) {
  cluster_product<config, epilogue>(activations, maps, arguments, WholeGrid{});
}

template <ClusterConfig config>
__global__ __launch_bounds__(threads(config),
                             1) void cluster_stack(const __grid_constant__ device::TensorMap activations,
                                                   const __grid_constant__ StackedMaps maps,
                                                   const __grid_constant__ StackedArguments stack) {
  const StackPlace place(stack);
  const LinearArguments& arguments = stack.part[place.part];
  cluster_product<config, Epilogue::kNone>(activations, maps.part[place.part], arguments, place);
}

}  // namespace tare::linear_cuda
