// Linear product with wgmma for many tokens (WideConfig in config.hpp says how the work is laid out). Every cluster
// walks over whole tiles, then over its even share of the last ones: first the opening steps of a tile that another
// cluster goes on with (parked in L2), then whole tiles, last the closing steps of a tile that another cluster began.
// Whoever waits, waits for work that was done first. Output leaves through shared memory and tensor stores, so that the
// next tile starts at once. sm_90a. All clusters must be resident at once. Even number of chunks a leaf. Dependent
// launch allowed.
#pragma once
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/copy.cuh"
#include "jit/cuh/launch.cuh"
#include "jit/cuh/mma.cuh"
#include "jit/cuh/wgmma.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/decode.cuh"
#include "plugins/linear/cuda/fragment.cuh"
#include "plugins/linear/cuda/runs.cuh"
#include "plugins/linear/cuda/wgmma_parts.cuh"

namespace tare::linear_cuda {

// A stretch of a tile's K steps (in leaf order) that one cluster runs in one go: steps [begin, end) of one leaf, or
// leaves [first_leaf, last_leaf] whole.
struct WidePiece {
  int tile, begin, end;
  int first_leaf = 0, last_leaf = 0;
};

// With split leaves: the (tile, leaf) pairs of a cluster, an even stretch of the row of all pairs.
struct LeafStretch {
  int leaves, begin, end;
  __device__ __forceinline__ static int first(int64_t pairs, int clusters, int cluster) {
    return static_cast<int>(pairs * cluster / clusters);
  }
  __device__ __forceinline__ LeafStretch(int tiles, int leaves_, int clusters, int cluster)
      : leaves(leaves_),
        begin(first(int64_t{tiles} * leaves_, clusters, cluster)),
        end(first(int64_t{tiles} * leaves_, clusters, cluster + 1)) {}
  __device__ __forceinline__ int pieces() const { return begin == end ? 0 : (end - 1) / leaves - begin / leaves + 1; }
  // The i-th tile that the stretch touches, with the leaves of it that lie inside.
  __device__ __forceinline__ WidePiece piece(int i) const {
    const int tile = begin / leaves + i, start = tile * leaves;
    return {tile, 0, 0, max(begin, start) - start, min(end, start + leaves) - 1 - start};
  }
};

// Which pieces a cluster runs, in order; the same on every thread.
struct WideSchedule {
  int chunks, whole_tiles, clusters, cluster;  // tiles [0, whole_tiles) are dealt out whole, the rest is cut evenly
  int whole, cut_begin, cut_end, pieces;       // of this cluster: whole tiles; its stretch of steps of the cut tiles
  bool head, tail;                             // the stretch ends, begins inside a tile
  __device__ __forceinline__ WideSchedule(int tiles, int chunks_, int clusters_, int cluster_, bool cut)
      : chunks(chunks_), clusters(clusters_), cluster(cluster_) {
    // A cut part is between one and two tiles a cluster, so that a cluster meets at most one beginning and one end.
    whole_tiles = cut ? (tiles / clusters - 1) * clusters : tiles;
    whole = (whole_tiles - cluster + clusters - 1) / clusters;
    const int64_t steps = int64_t{tiles - whole_tiles} * chunks;
    cut_begin = static_cast<int>(steps * cluster / clusters) & ~1;
    cut_end = static_cast<int>(steps * (cluster + 1) / clusters) & ~1;
    head = cut_end % chunks != 0;
    tail = cut_begin % chunks != 0;
    const int first_full = (cut_begin + chunks - 1) / chunks, full = cut_end / chunks - first_full;
    pieces = whole + (head ? 1 : 0) + full + (tail ? 1 : 0);
  }
  __device__ __forceinline__ WidePiece piece(int i) const {
    if (i < whole) return {cluster + i * clusters, 0, chunks};
    i -= whole;
    if (head) {
      if (i == 0) return {whole_tiles + cut_end / chunks, 0, cut_end % chunks};
      --i;
    }
    const int first_full = (cut_begin + chunks - 1) / chunks, full = cut_end / chunks - first_full;
    if (i < full) return {whole_tiles + first_full + i, 0, chunks};
    return {whole_tiles + cut_begin / chunks, cut_begin % chunks, chunks};
  }
};

inline constexpr int kParkedBarrier = 5;  // and one more: a group's sums lie in the workspace (named barriers)

__device__ __forceinline__ void set_flag(uint32_t* flag) {
  asm volatile("fence.acq_rel.gpu;\nfence.proxy.async;" ::: "memory");
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flag), "r"(1) : "memory");
}
// Waits for the flag, leaves it zero for the next launch, and lets the copy engine see what was written before it.
__device__ __forceinline__ void take_flag(uint32_t* flag) {
  uint32_t there;
  do {
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(there) : "l"(flag) : "memory");
  } while (there == 0);
  *flag = 0;
  asm volatile("fence.proxy.async;" ::: "memory");
}

template <WideConfig config>
__global__ __launch_bounds__(threads(config), 1) void wide(const __grid_constant__ device::TensorMap activations,
                                                           const __grid_constant__ device::TensorMap output,
                                                           const __grid_constant__ RecordMaps maps,
                                                           const LinearArguments arguments) {
  using namespace device;
  static_assert(config.tokens == 128 || config.tokens == 192 || config.tokens == 256,
                "a tile has 128, 192 or 256 tokens");
  static_assert(config.row_groups == 2 || (config.row_groups == 3 && config.tokens == 128),
                "two groups of rows, or three that have 128 tokens");
  static_assert(config.sum_leaves || config.register_groups == 0, "one leaf has no total to keep");
  static_assert(!(config.sum_leaves && config.cut), "only the sums of one leaf travel between clusters");
  static_assert(config.sum_leaves || !config.split_leaves, "there is only one leaf to deal out");
  static_assert(config.register_groups <= config.tokens / 8, "a total has tokens / 8 groups");
  static_assert(shared_bytes(config) <= kMaxSharedBytes, "the rings must fit into shared memory: fewer stages");
  constexpr SlotShape kWeights = weight_slot(config);
  constexpr int kActivations = activation_slot_bytes(config), kCluster = kWideCluster, kGroups = config.tokens / 8;
  constexpr int kWeightStages = config.weight_stages, kActivationStages = config.activation_stages;
  constexpr int kConsumers = config.row_groups, kStrips = 4 * kConsumers, kScratch = scratch_bytes(config);
  constexpr int kInRegisters = config.register_groups, kBuffers = config.output_buffers;
  constexpr int kPayload = payload_bytes(config.code), kHeader = header_bytes(config.code, config.header_blocks);

  constexpr int kProducerWarp = 4 * kConsumers;  // those before multiply
  extern __shared__ uint8_t shared_raw[];
  const uint32_t ring_activations = align_up(shared_address(shared_raw), 1024);
  const uint32_t scratch = ring_activations + kActivationStages * kActivations;
  const uint32_t ring_payload = scratch + kConsumers * kScratch;
  const uint32_t ring_headers = ring_payload + kWeightStages * kWeights.payload_bytes;
  const uint32_t weights_full = ring_headers + kWeightStages * kWeights.header_stride;
  const uint32_t weights_empty = weights_full + kWeightStages * kBarrierBytes;
  const uint32_t activations_full = weights_empty + kWeightStages * kBarrierBytes;
  const uint32_t activations_empty = activations_full + kActivationStages * kBarrierBytes;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int rank = static_cast<int>(cluster_rank());

  if (threadIdx.x == 0) {
    for (int i = 0; i < kWeightStages; ++i) {
      barrier_init(weights_full + i * kBarrierBytes, 1);
      barrier_init(weights_empty + i * kBarrierBytes, 4 * kConsumers);
    }
    for (int i = 0; i < kActivationStages; ++i) {
      barrier_init(activations_full + i * kBarrierBytes, 1);
      barrier_init(activations_empty + i * kBarrierBytes,
                   4 * kConsumers * kCluster);  // both blocks' warps read what each producer sends
    }
    barrier_init_fence();
  }
  __syncthreads();
  cluster_sync();
  allow_next_kernel();

  const int row_tiles = arguments.rows / (block_rows(config) * kCluster);
  const int token_tiles = (arguments.tokens + config.tokens - 1) / config.tokens;
  const int leaves = config.sum_leaves ? arguments.leaves : 1;
  const int chunks = arguments.columns / kChunkColumns, steps_in_leaf = chunks / leaves;
  const int clusters = gridDim.x / kCluster, cluster = blockIdx.x / kCluster, tiles = row_tiles * token_tiles;
  const WideSchedule schedule(tiles, chunks, clusters, cluster, config.cut);
  const LeafStretch stretch(tiles, leaves, clusters, cluster);
  const int pieces = config.split_leaves ? stretch.pieces() : schedule.pieces;
  auto piece_at = [&](int i) {
    if constexpr (config.split_leaves) return stretch.piece(i);
    WidePiece piece = schedule.piece(i);
    piece.last_leaf = leaves - 1;
    return piece;
  };

  // Set when the sums of a leaf, or of the steps before a cut, lie in the workspace.
  auto flag_of = [&](int tile, int leaf) {
    return arguments.flags + (config.split_leaves ? tile * leaves + leaf : tile - schedule.whole_tiles) * kCluster +
           rank;
  };
  // One block's sums of a tile as they are parked: [quarter of the tokens][group][8 tokens][thread], a quarter a slot.
  constexpr int kParked = kActivations * 4, kQuarter = kGroups / 4;
  static_assert(kConsumers == 2 || (!config.cut && !config.split_leaves),
                "a quarter of two groups' sums fills a slot of activations");

  if (warp >= kProducerWarp) {
    give_registers<kConsumers == 2 ? 40 : 56>();
    // Walks the steps of all pieces: visit(chunk, first strip of this block, first token).
    auto walk = [&](auto&& piece_starts, auto&& visit, auto&& piece_ends) {
      for (int i = 0; i < pieces; ++i) {
        const WidePiece piece = piece_at(i);
        const TilePlace place = place_tile(piece.tile, row_tiles, token_tiles, config.band);
        piece_starts((place.row_tile * kCluster + rank) * kStrips, place.token_tile * config.tokens, piece);
        if constexpr (config.sum_leaves) {
          for (int leaf = piece.first_leaf; leaf <= piece.last_leaf; ++leaf) {
            for (int chunk = leaf; chunk < chunks; chunk += leaves) visit(chunk);
          }
        } else {
          for (int chunk = piece.begin; chunk < piece.end; ++chunk) visit(chunk);
        }
        piece_ends(piece);
      }
    };
    auto nothing = [](const WidePiece&) {};
    const uint64_t policy = token_tiles > 1 ? policy_evict_normal() : policy_evict_first();
    RingPosition ring(1);
    if (threadIdx.x == kProducerWarp * 32) {  // payloads
      const RunCopier<kPayload, kStrips, 1, config.tensor_copies> copier{arguments.payload, &maps.payload, chunks,
                                                                         arguments.strips_per_block, policy};
      RunSource source{};
      walk([&](int strip, int, const WidePiece&) { source = copier.source(strip); },
           [&](int chunk) {
             const uint32_t barrier = weights_full + ring.slot * kBarrierBytes;
             barrier_wait(weights_empty + ring.slot * kBarrierBytes, ring.parity);
             barrier_expect(barrier, kWeights.transaction_bytes());
             copier.issue(source, chunk, ring_payload + ring.slot * kWeights.payload_bytes, barrier);
             ring.advance<kWeightStages>();
           },
           nothing);
    } else if (threadIdx.x == kProducerWarp * 32 + 32 && kHeader > 0) {  // headers
      const RunCopier<kHeader, kStrips, 1, config.tensor_copies> copier{arguments.headers, &maps.headers, chunks,
                                                                        arguments.strips_per_block, policy};
      RunSource source{};
      walk([&](int strip, int, const WidePiece&) { source = copier.source(strip); },
           [&](int chunk) {
             barrier_wait(weights_empty + ring.slot * kBarrierBytes, ring.parity);
             copier.issue(source, chunk, ring_headers + ring.slot * kWeights.header_stride,
                          weights_full + ring.slot * kBarrierBytes);
             ring.advance<kWeightStages>();
           },
           nothing);
    } else if (threadIdx.x ==
               kProducerWarp * 32 + 64) {  // activations: each block fetches its share of the tokens for both
      wait_for_inputs();
      int token0 = 0;
      // Sums that another cluster parked come through the activations' ring, a quarter of them a slot: the copy engine
      // has far more of them on the way than threads without free registers could.
      auto fetch = [&](int64_t slot) {
        const uint8_t* from = reinterpret_cast<const uint8_t*>(arguments.partials) + (slot * kCluster + rank) * kParked;
        for (int part = 0; part < 4; ++part) {
          const uint32_t barrier = activations_full + ring.slot * kBarrierBytes;
          barrier_wait(activations_empty + ring.slot * kBarrierBytes, ring.parity);
          barrier_expect(barrier, kActivations);
          copy_bulk(ring_activations + ring.slot * kActivations, from + part * kActivations, kActivations, barrier,
                    policy);
          ring.advance<kActivationStages>();
        }
      };
      walk(
          [&](int, int first, const WidePiece& piece) {
            token0 = first;
            if (!config.sum_leaves && piece.begin > 0) {  // another cluster began this tile
              take_flag(flag_of(piece.tile, 0));
              fetch(piece.tile - schedule.whole_tiles);
            }
          },
          [&](int chunk) {
            const uint32_t barrier = activations_full + ring.slot * kBarrierBytes;
            barrier_wait(activations_empty + ring.slot * kBarrierBytes, ring.parity);
            barrier_expect(barrier, kActivations);
            copy_tensor_3d_multicast(ring_activations + ring.slot * kActivations + rank * (kActivations / kCluster),
                                     &activations, 0, token0 + rank * (config.tokens / kCluster), chunk, barrier,
                                     (1 << kCluster) - 1);
            ring.advance<kActivationStages>();
          },
          [&](const WidePiece& piece) {
            if constexpr (config.split_leaves) {  // leaves that other clusters added, in order
              if (piece.first_leaf > 0 || piece.last_leaf + 1 == leaves) return;
              int owner = cluster;
              for (int leaf = piece.last_leaf + 1; leaf < leaves; ++leaf) {
                while (LeafStretch::first(int64_t{tiles} * leaves, clusters, owner + 1) <= piece.tile * leaves + leaf)
                  ++owner;
                take_flag(flag_of(piece.tile, leaf));
                fetch(int64_t{owner} * (leaves - 1) + leaf - 1);
              }
            }
          });
    } else if (warp == kProducerWarp + 3 && (config.cut || config.split_leaves)) {
      // Tells other clusters of parked sums, so that nobody who multiplies waits until they are visible there.
      for (int i = 0; i < pieces; ++i) {
        const WidePiece piece = piece_at(i);
        if (config.split_leaves ? piece.first_leaf == 0 : piece.end == chunks) continue;  // finished here
        for (int leaf = piece.first_leaf; leaf <= piece.last_leaf; ++leaf) {
          for (int which = 0; which < 2; ++which) named_sync(kParkedBarrier + which, 160);
          if (lane == 0) set_flag(flag_of(piece.tile, config.split_leaves ? leaf : 0));
        }
      }
    }
    __syncwarp();
    cluster_sync();
    return;
  }

  // 2 * 232 + 40 = 3 * 168 and 3 * 152 + 56 = 4 * 128, which is what the launch allocated.
  take_registers<kConsumers == 2 ? 232 : 152>();
  const int group = warp / 4, thread_of_group = threadIdx.x % 128;
  const uint32_t bias = decode_bias();
  if constexpr (config.code == WeightCode::kW11)
    clear_patches(patch_scratch<config>(kProducerWarp, threadIdx.x / 32, shared_address(shared_raw)), lane);
  const uint32_t payload = ring_payload + warp * kPayload, header = ring_headers + warp * kHeader;
  const uint32_t my_scratch = scratch + group * kScratch, my_totals = my_scratch + thread_of_group * 16;
  float sum[config.tokens / 2], total[kInRegisters > 0 ? 4 * kInRegisters : 1];
  uint32_t a[16], a_next[16];
  RingPosition weights(0), inputs(0);
  int busy_slot = -1, buffer = 0;
  auto group_sync = [&] { named_sync(1 + group, 128); };
  auto release_busy = [&] {
    if (busy_slot >= 0 && lane < kCluster) barrier_arrive_at(activations_empty + busy_slot * kBarrierBytes, lane);
  };
  auto step_into = [&](uint32_t(&registers)[16]) {
    barrier_wait(weights_full + weights.slot * kBarrierBytes, weights.parity);
    uint32_t patches = 0;
    if constexpr (config.code == WeightCode::kW11)
      patches = patch_scratch<config>(kProducerWarp, threadIdx.x / 32, shared_address(shared_raw));
    load_record<config.code, config.header_blocks>(payload + weights.slot * kWeights.payload_bytes,
                                                   header + weights.slot * kWeights.header_stride, arguments.overflow,
                                                   lane, bias, patches, registers);
    barrier_wait(activations_full + inputs.slot * kBarrierBytes, inputs.parity);
    const uint64_t b = wgmma_descriptor(ring_activations + inputs.slot * kActivations);
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < 4; ++s) Wgmma<config.tokens>::multiply(sum, registers + 4 * s, b + 2 * s);
    wgmma_commit();
    // Only now has the record surely been read: the wgmmas that use it are on their way. Right after the loads would be
    // too soon, since an arrival may overtake a load whose result nobody has used yet (seen with dense records).
    __syncwarp();
    if (lane == 0) barrier_arrive(weights_empty + weights.slot * kBarrierBytes);
    weights.advance<kWeightStages>();
    wgmma_wait<1>();
    release_busy();
    busy_slot = inputs.slot;
    inputs.advance<kActivationStages>();
  };
  // Hands the sums to another cluster: slot `slot` of the workspace. The last producer warp sets the tile's flag.
  auto park = [&](int64_t slot) {
    float4* to = reinterpret_cast<float4*>(arguments.partials) + (slot * kCluster + rank) * (kParked / 16) +
                 group * (kQuarter * 128) + thread_of_group;
#pragma unroll
    for (int n = 0; n < kGroups; ++n) {
      __stcg(to + (n / kQuarter * 2 * kQuarter + n % kQuarter) * 128, as_float4(sum + 4 * n));
    }
    named_arrive(kParkedBarrier + group, 160);
  };
  // The parked sums that the producer fetches: taken as they are, or added.
  auto unpark = [&](bool add) {
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      barrier_wait(activations_full + inputs.slot * kBarrierBytes, inputs.parity);
      const uint32_t from =
          ring_activations + inputs.slot * kActivations + group * (kActivations / 2) + thread_of_group * 16;
#pragma unroll
      for (int i = 0; i < kQuarter; ++i) {
        float4 v = load_shared_float4(from + i * 2048);
        float* to = sum + (part * kQuarter + i) * 4;
        if (add) v.x += to[0], v.y += to[1], v.z += to[2], v.w += to[3];
        // In registers before the slot is given back.
        asm volatile("" : "+f"(v.x), "+f"(v.y), "+f"(v.z), "+f"(v.w));
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
      }
      __syncwarp();
      if (lane < kCluster) barrier_arrive_at(activations_empty + inputs.slot * kBarrierBytes, lane);
      inputs.advance<kActivationStages>();
    }
  };

  for (int i = 0; i < pieces; ++i) {
    const WidePiece piece = piece_at(i);
    const TilePlace place = place_tile(piece.tile, row_tiles, token_tiles, config.band);
    bool handed_on = false;
    for (int leaf = piece.first_leaf; leaf <= piece.last_leaf; ++leaf) {
#pragma unroll
      for (int e = 0; e < config.tokens / 2; ++e) sum[e] = 0.f;
      if (!config.sum_leaves && piece.begin > 0) unpark(false);
      // Cuts are even: with a tail step here the assembler would make every wgmma wait for the one before.
      int left = config.sum_leaves ? steps_in_leaf : piece.end - piece.begin;
      do {
        step_into(a);
        step_into(a_next);
        left -= 2;
      } while (left > 0);
      wgmma_wait<0>();
      release_busy();
      busy_slot = -1;
      if constexpr (config.sum_leaves) {
        if (config.split_leaves && piece.first_leaf > 0) {  // the cluster with leaf 0 adds this one in its turn
          park(int64_t{cluster} * (leaves - 1) + leaf - 1);
          handed_on = true;
          continue;
        }
        if (leaf == piece.last_leaf) break;
        if (leaf == 0 && kInRegisters < kGroups) {  // the staged output of the tile before lies where the totals go
          if (thread_of_group == 0) store_wait_read<0>();
          group_sync();
        }
#pragma unroll
        for (int n = 0; n < kGroups; ++n) {
          if (n < kInRegisters) {
#pragma unroll
            for (int e = 0; e < 4; ++e)
              total[4 * n + e] = leaf == 0 ? sum[4 * n + e] : total[4 * n + e] + sum[4 * n + e];
          } else {
            const uint32_t address = my_totals + (n - kInRegisters) * 2048;
            float4 v = as_float4(sum + 4 * n);
            if (leaf > 0) {
              float4 so_far = load_shared_float4(address);
              add_to(so_far, v);
              v = so_far;
            }
            store_shared_float4(address, v);
          }
        }
      }
    }
    if (handed_on) continue;
    if (!config.sum_leaves && piece.end < chunks) {  // another cluster goes on with this tile
      park(piece.tile - schedule.whole_tiles);
      continue;
    }
    if (config.sum_leaves && piece.last_leaf > 0) {
#pragma unroll
      for (int n = 0; n < kGroups; ++n) {
        if (n < kInRegisters) {
#pragma unroll
          for (int e = 0; e < 4; ++e) sum[4 * n + e] += total[4 * n + e];
        } else {
          const float4 so_far = load_shared_float4(my_totals + (n - kInRegisters) * 2048);
          sum[4 * n] += so_far.x, sum[4 * n + 1] += so_far.y, sum[4 * n + 2] += so_far.z, sum[4 * n + 3] += so_far.w;
        }
      }
    }
    if constexpr (config.split_leaves) {
      for (int leaf = piece.last_leaf + 1; leaf < leaves; ++leaf) unpark(true);
    }
    // 64 tokens at a time: transposed into a swizzled tile of 64 tokens x 64 rows, then one tensor store.
    const int row0 = (place.row_tile * kCluster + rank) * block_rows(config) + group * 64;
#pragma unroll
    for (int part = 0; part < config.tokens / 64; ++part) {
      const uint32_t staging = my_scratch + buffer * kWideOutputBytes;
      if (++buffer == kBuffers) buffer = 0;
      if (thread_of_group == 0) store_wait_read<kBuffers - 1>();
      group_sync();
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        const float* v = sum + part * 32 + u * 8;
        const int token = u * 16 + ((lane >> 4) << 3) + (lane & 7), column = (warp % 4) * 2 + ((lane >> 3) & 1);
        store_matrix_x4_transposed(staging + token * 128 + ((column ^ (lane & 7)) << 4),
                                   floats_to_bf16x2(v[0] * arguments.scale, v[1] * arguments.scale),
                                   floats_to_bf16x2(v[2] * arguments.scale, v[3] * arguments.scale),
                                   floats_to_bf16x2(v[4] * arguments.scale, v[5] * arguments.scale),
                                   floats_to_bf16x2(v[6] * arguments.scale, v[7] * arguments.scale));
      }
      async_proxy_fence();
      group_sync();
      if (thread_of_group == 0) store_tensor_2d(&output, staging, row0, place.token_tile * config.tokens + part * 64);
    }
  }
  if (thread_of_group == 0) store_wait_all();
  __syncwarp();
  cluster_sync();
}

}  // namespace tare::linear_cuda
