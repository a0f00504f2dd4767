// Linear product with wgmma for many tokens (WideConfig in config.hpp says how the work is laid out). Every cluster
// walks over whole tiles, then over its even share of the last ones: first the opening steps of a tile that another
// cluster goes on with (parked in L2), then whole tiles, last the closing steps of a tile that another cluster began.
// Whoever waits, waits for work that was done first. Output leaves through shared memory and tensor stores, so that the
// next tile starts at once. sm_90a. All clusters must be resident at once. Even number of chunks a leaf. Dependent
// launch allowed.
#pragma once
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/copy.cuh"
#include "jit/cuh/launch.cuh"
#include "jit/cuh/mma.cuh"
#include "jit/cuh/wgmma.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/decode.cuh"
#include "plugins/linear/cuda/fragment.cuh"
#include "plugins/linear/cuda/runs.cuh"
#include "plugins/linear/cuda/stack.cuh"
#include "plugins/linear/cuda/wgmma_parts.cuh"
#include "plugins/linear/cuda/wide_output.cuh"
#include "plugins/linear/cuda/wide_schedule.cuh"
#include "plugins/linear/cuda/wide_share.cuh"

namespace tare::linear_cuda {

inline constexpr int kParkedBarrier = 5;  // and one more: a group's sums lie in the workspace (named barriers)

// One matrix's product by `clusters` clusters, of which this one is number `cluster`.
template <WideConfig config, Epilogue epilogue>
__device__ __forceinline__ void wide_product(const device::TensorMap& activations, const device::TensorMap& output,
                                             const RecordMaps& maps, const LinearArguments& arguments,
                                             const int cluster, const int clusters) {
  using namespace device;
  static_assert(config.tokens == 128 || config.tokens == 192 || config.tokens == 256,
                "a tile has 128, 192 or 256 tokens");
  static_assert(config.row_groups == 2 || (config.row_groups == 3 && config.tokens == 128),
                "two groups of rows, or three that have 128 tokens");
  static_assert(config.sum_leaves || config.register_groups == 0, "one leaf has no total to keep");
  static_assert(!(config.sum_leaves && config.cut), "only the sums of one leaf travel between clusters");
  static_assert(config.chunks == 1 || (config.chunks == kWideCluster && config.tokens == 128),
                "a slot has one chunk, or with 128 tokens one for each block of the cluster to fetch");
  static_assert(config.shares == 1 || !config.cut, "one way of dealing out work at a time");
  static_assert(config.rest_leaves == 0 || (config.shares > 1 && config.sum_leaves), "whole tiles, then shared ones");
  static_assert(config.weight_stages >= 2, "the next record is decoded while this one's slot is still held");
  static_assert(config.register_groups <= config.tokens / 8, "a total has tokens / 8 groups");
  static_assert(shared_bytes(config) <= kMaxSharedBytes, "the rings must fit into shared memory: fewer stages");
  constexpr SlotShape kWeights = weight_slot(config);
  constexpr int kActivations = activation_slot_bytes(config), kCluster = kWideCluster, kGroups = config.tokens / 8;
  constexpr int kWeightStages = config.weight_stages, kActivationStages = config.activation_stages;
  constexpr int kChunks = config.chunks;
  constexpr int kConsumers = config.row_groups, kStrips = 4 * kConsumers, kScratch = scratch_bytes(config);
  constexpr int kInRegisters = config.register_groups;
  constexpr int kPayload = payload_bytes(config.code), kHeader = header_bytes(config.code, config.header_blocks);

  constexpr int kProducerWarp = 4 * kConsumers;  // those before multiply
  extern __shared__ uint8_t shared_raw[];
  const uint32_t ring_activations = align_up(shared_address(shared_raw), 1024);
  const uint32_t scratch = ring_activations + kActivationStages * kChunks * kActivations;
  const uint32_t ring_payload = scratch + kConsumers * kScratch;
  const uint32_t ring_headers = ring_payload + kWeightStages * kChunks * kWeights.payload_bytes;
  const uint32_t weights_full = ring_headers + kWeightStages * kChunks * kWeights.header_stride;
  const uint32_t weights_empty = weights_full + kWeightStages * kBarrierBytes;
  const uint32_t activations_full = weights_empty + kWeightStages * kBarrierBytes;
  const uint32_t activations_empty = activations_full + kActivationStages * kBarrierBytes;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int rank = static_cast<int>(cluster_rank());

  if (threadIdx.x == kProducerWarp * 32) {
    if (config.tensor_copies) prefetch_map(maps.payload);
    if (config.tensor_copies && kHeader > 0) prefetch_map(maps.headers);
  } else if (threadIdx.x == kProducerWarp * 32 + 64) {
    prefetch_map(activations);
    prefetch_map(output);
  }
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
  constexpr bool kManyLeaves = config.sum_leaves || config.shares > 1;  // of the tile, if not of the cluster
  const int leaves = kManyLeaves ? arguments.leaves : 1;
  const int chunks = arguments.columns / kChunkColumns, steps_in_leaf = chunks / leaves;
  const int tiles = row_tiles * token_tiles;
  const WideSchedule schedule(tiles, chunks, clusters, cluster, config.cut);
  const int share = cluster % config.shares;
  const RestSchedule rest(tiles, clusters, cluster, config.shares);
  const int pieces = config.rest_leaves > 0 ? rest.pieces : config.shares > 1 ? 1 : schedule.pieces;
  const int first_shared = config.rest_leaves > 0 ? rest.whole_tiles : 0;  // tile
  auto piece_at = [&](int i) {
    if constexpr (config.shares > 1) {
      constexpr int kLeaves = leaves_of_share(config);
      if (config.rest_leaves > 0 && i < rest.whole) return WidePiece{cluster + i * clusters, 0, 0, 0, leaves - 1};
      return WidePiece{first_shared + cluster / config.shares, 0, 0, share * kLeaves, share * kLeaves + kLeaves - 1};
    }
    WidePiece piece = schedule.piece(i);
    piece.last_leaf = leaves - 1;
    return piece;
  };

  // Set when the sums of the steps before a cut lie in the workspace.
  auto flag_of = [&](int tile) { return arguments.flags + (tile - schedule.whole_tiles) * kCluster + rank; };
  // One block's sums of a tile as they are parked: [part of the tokens][group][8 tokens][thread], a part a slot.
  constexpr int kParked = kActivations * 4, kParts = 4 / kChunks, kPart = kGroups / kParts;
  static_assert(kConsumers == 2 || !config.cut, "a part of two groups' sums fills a slot of activations");

  if (warp >= kProducerWarp) {
    give_registers<kConsumers == 2 ? 40 : 56>();
    // Walks the steps of all pieces: visit(chunk, first strip of this block, first token).
    auto walk = [&](auto&& piece_starts, auto&& visit, auto&& piece_ends) {
      for (int i = 0; i < pieces; ++i) {
        const WidePiece piece = piece_at(i);
        const TilePlace place = place_tile(piece.tile, row_tiles, token_tiles, config.band);
        piece_starts((place.row_tile * kCluster + rank) * kStrips, place.token_tile * config.tokens, piece);
        if constexpr (kManyLeaves) {
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
    int place = 0;  // of the next chunk in its slot
    auto next_place = [&](auto stages) {
      if (++place < kChunks) return;
      place = 0;
      ring.advance<stages()>();
    };
    struct WeightStages {
      __device__ constexpr int operator()() const { return kWeightStages; }
    };
    struct ActivationStages {
      __device__ constexpr int operator()() const { return kActivationStages; }
    };
    // Both parts of the records: issue(source, chunk). A slot more than there are steps, since the multiplying warps
    // decode one record ahead.
    auto send_records = [&](const auto& copier, auto&& issue) {
      RunSource source{};
      int last = 0;
      auto visit = [&](int chunk) {
        if (place == 0) barrier_wait(weights_empty + ring.slot * kBarrierBytes, ring.parity);
        issue(source, chunk);
        next_place(WeightStages());
        last = chunk;
      };
      walk([&](int strip, int, const WidePiece&) { source = copier.source(strip); }, visit, nothing);
      for (int i = 0; i < kChunks && pieces > 0; ++i) visit(last);
    };
    if (threadIdx.x == kProducerWarp * 32) {  // payloads
      const RunCopier<kPayload, kStrips, 1, config.tensor_copies> copier{arguments.payload, &maps.payload, chunks,
                                                                         arguments.strips_per_block, policy};
      send_records(copier, [&](const RunSource& source, int chunk) {
        const uint32_t barrier = weights_full + ring.slot * kBarrierBytes;
        if (place == 0) barrier_expect(barrier, kChunks * kWeights.transaction_bytes());
        copier.issue(source, chunk, ring_payload + (ring.slot * kChunks + place) * kWeights.payload_bytes, barrier);
      });
    } else if (threadIdx.x == kProducerWarp * 32 + 32 && kHeader > 0) {  // headers
      const RunCopier<kHeader, kStrips, 1, config.tensor_copies> copier{arguments.headers, &maps.headers, chunks,
                                                                        arguments.strips_per_block, policy};
      send_records(copier, [&](const RunSource& source, int chunk) {
        copier.issue(source, chunk, ring_headers + (ring.slot * kChunks + place) * kWeights.header_stride,
                     weights_full + ring.slot * kBarrierBytes);
      });
    } else if (threadIdx.x ==
               kProducerWarp * 32 +
                   64) {  // activations: each block fetches its half of a slot, of tokens or of chunks, for both
      wait_for_inputs();
      int token0 = 0;
      // Sums that another cluster parked come through the activations' ring, a part of them a slot: the copy engine
      // has far more of them on the way than threads without free registers could.
      auto fetch = [&](int64_t slot) {
        const uint8_t* from = reinterpret_cast<const uint8_t*>(arguments.partials) + (slot * kCluster + rank) * kParked;
        constexpr int kBytes = kChunks * kActivations;
        for (int part = 0; part < kParts; ++part) {
          const uint32_t barrier = activations_full + ring.slot * kBarrierBytes;
          barrier_wait(activations_empty + ring.slot * kBarrierBytes, ring.parity);
          barrier_expect(barrier, kBytes);
          copy_bulk(ring_activations + ring.slot * kBytes, from + part * kBytes, kBytes, barrier, policy);
          ring.advance<kActivationStages>();
        }
      };
      walk(
          [&](int, int first, const WidePiece& piece) {
            token0 = first;
            if (!config.sum_leaves && piece.begin > 0) {  // another cluster began this tile
              take_flag(flag_of(piece.tile));
              fetch(piece.tile - schedule.whole_tiles);
            }
          },
          [&](int chunk) {
            const uint32_t barrier = activations_full + ring.slot * kBarrierBytes;
            if (place == 0) {
              barrier_wait(activations_empty + ring.slot * kBarrierBytes, ring.parity);
              barrier_expect(barrier, kChunks * kActivations);
            }
            if (kChunks == 1 || place == rank)
              copy_tensor_3d_multicast(
                  ring_activations + ring.slot * kChunks * kActivations + rank * (kChunks * kActivations / kCluster),
                  &activations, 0, kChunks == 1 ? token0 + rank * (config.tokens / kCluster) : token0, chunk, barrier,
                  (1 << kCluster) - 1);
            next_place(ActivationStages());
          },
          nothing);
    } else if (warp == kProducerWarp + 3 && config.cut) {
      // Tells other clusters of parked sums, so that nobody who multiplies waits until they are visible there.
      for (int i = 0; i < pieces; ++i) {
        const WidePiece piece = piece_at(i);
        if (piece.end == chunks) continue;  // finished here
        for (int which = 0; which < 2; ++which) named_sync(kParkedBarrier + which, 160);
        if (lane == 0) set_flag(flag_of(piece.tile));
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
  int busy_slot = -1;
  WideOutput<config, epilogue> writer{my_scratch, group, warp, lane, thread_of_group};
  auto group_sync = [&] { named_sync(1 + group, 128); };
  auto release_busy = [&] {
    if (busy_slot >= 0 && lane < kCluster) barrier_arrive_at(activations_empty + busy_slot * kBarrierBytes, lane);
  };
  // `weights` is the slot of the next record to decode, `inputs` that of the activations to multiply next.
  auto wait_for_weights = [&] { barrier_wait(weights_full + weights.slot * kBarrierBytes, weights.parity); };
  auto payload_at = [&](int place) { return payload + (weights.slot * kChunks + place) * kWeights.payload_bytes; };
  auto header_at = [&](int place) { return header + (weights.slot * kChunks + place) * kWeights.header_stride; };
  // With 128 tokens there are registers for the next record's words to be on their way while this one is multiplied.
  constexpr bool kAhead = config.tokens == 128 && config.row_groups == 2 && config.code == WeightCode::kW12;
  RawRecord<kAhead ? config.code : WeightCode::kW12> raw;
  auto fetch = [&](int place) {
    if constexpr (kAhead) fetch_record<config.code>(payload_at(place), header_at(place), lane, raw);
  };
  auto decode = [&](int place, uint32_t(&registers)[16]) {
    if constexpr (kAhead) {
      expand_record<config.code, config.header_blocks>(raw, payload_at(place), header_at(place), arguments.overflow,
                                                       lane, bias, registers);
    } else {
      uint32_t patches = 0;
      if constexpr (config.code == WeightCode::kW11)
        patches = patch_scratch<config>(kProducerWarp, threadIdx.x / 32, shared_address(shared_raw));
      load_record<config.code, config.header_blocks>(payload_at(place), header_at(place), arguments.overflow, lane,
                                                     bias, patches, registers);
    }
  };
  // Multiplies chunk `place` of the slot of activations, whose record is in `registers`, and decodes the next record
  // into `next` meanwhile.
  auto step = [&](int place, uint32_t(&registers)[16], uint32_t(&next)[16]) {
    const bool last = place == kChunks - 1;
    const int held = weights.slot;
    // From one lane, so that the assembler keeps it in uniform registers and the wgmmas follow each other at once.
    const uint64_t b = wgmma_descriptor(
        __shfl_sync(0xffffffffu, ring_activations + (inputs.slot * kChunks + place) * kActivations, 0));
    if (last) weights.advance<kWeightStages>();
    if (kAhead) {
      if (last) wait_for_weights();
      fetch(last ? 0 : place + 1);
    }
    if (place == 0) barrier_wait(activations_full + inputs.slot * kBarrierBytes, inputs.parity);
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < 4; ++s) Wgmma<config.tokens>::multiply(sum, registers + 4 * s, b + 2 * s);
    wgmma_commit();
    if (last) {
      // Only now has the slot surely been read: the wgmmas that use its records are on their way. Right after the loads
      // would be too soon, since an arrival may overtake a load whose result nobody has used yet (seen with dense
      // records).
      __syncwarp();
      if (lane == 0) barrier_arrive(weights_empty + held * kBarrierBytes);
    }
    wgmma_wait<1>();
    if (place == 0) release_busy();
    if (last) {
      busy_slot = inputs.slot;
      inputs.advance<kActivationStages>();
      if (!kAhead) wait_for_weights();
    }
    decode(last ? 0 : place + 1, next);
  };
  // Hands the sums to another cluster: slot `slot` of the workspace. The last producer warp sets the tile's flag.
  auto park = [&](int64_t slot) {
    float4* to = reinterpret_cast<float4*>(arguments.partials) + (slot * kCluster + rank) * (kParked / 16) +
                 group * (kPart * 128) + thread_of_group;
#pragma unroll
    for (int n = 0; n < kGroups; ++n) {
      __stcg(to + (n / kPart * 2 * kPart + n % kPart) * 128, as_float4(sum + 4 * n));
    }
    named_arrive(kParkedBarrier + group, 160);
  };
  // The parked sums that the producer fetches.
  auto unpark = [&] {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      barrier_wait(activations_full + inputs.slot * kBarrierBytes, inputs.parity);
      const uint32_t from =
          ring_activations + (inputs.slot * 2 + group) * (kChunks * kActivations / 2) + thread_of_group * 16;
#pragma unroll
      for (int i = 0; i < kPart; ++i) {
        float4 v = load_shared_float4(from + i * 2048);
        float* to = sum + (part * kPart + i) * 4;
        // In registers before the slot is given back.
        asm volatile("" : "+f"(v.x), "+f"(v.y), "+f"(v.z), "+f"(v.w));
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
      }
      __syncwarp();
      if (lane < kCluster) barrier_arrive_at(activations_empty + inputs.slot * kBarrierBytes, lane);
      inputs.advance<kActivationStages>();
    }
  };

  if (pieces > 0) {
    wait_for_weights();
    fetch(0);
    decode(0, a);
  }
  for (int i = 0; i < pieces; ++i) {
    const WidePiece piece = piece_at(i);
    const TilePlace place = place_tile(piece.tile, row_tiles, token_tiles, config.band);
    const WideShare<config> sharing{arguments, piece.tile - first_shared, share, rank, group, thread_of_group};
    const bool shared = config.shares > 1 && (config.rest_leaves == 0 || i >= rest.whole);
    const int row0 = (place.row_tile * kCluster + rank) * block_rows(config) + group * 64;
    const int token0 = place.token_tile * config.tokens;
    // So that those of the tile before are not kept while it is stored.
#pragma unroll
    for (int e = 0; e < 4 * kInRegisters; ++e) total[e] = 0.f;
    for (int leaf = piece.first_leaf; leaf <= piece.last_leaf; ++leaf) {
#pragma unroll
      for (int e = 0; e < config.tokens / 2; ++e) sum[e] = 0.f;
      if (!config.sum_leaves && piece.begin > 0) unpark();
      // Cuts are even: with a tail step here the assembler would make every wgmma wait for the one before.
      int left = kManyLeaves ? steps_in_leaf : piece.end - piece.begin;
      do {
        step(0, a, a_next);
        step(kChunks - 1, a_next, a);
        left -= 2;
      } while (left > 0);
      wgmma_wait<0>();
      release_busy();
      busy_slot = -1;
      if constexpr (config.sum_leaves) {
        if (leaf == piece.last_leaf) break;
        if constexpr (config.shares > 1) {
          if (shared && share > 0) sharing.park(sharing.sum_of(0), sum);
        }
        if (leaf == piece.first_leaf &&
            kInRegisters < kGroups) {  // the staged output of the tile before lies where the totals go
          if (thread_of_group == 0) store_wait_read<0>();
          group_sync();
        }
#pragma unroll
        for (int n = 0; n < kGroups; ++n) {
          if (n < kInRegisters) {
#pragma unroll
            for (int e = 0; e < 4; ++e)
              total[4 * n + e] = leaf == piece.first_leaf ? sum[4 * n + e] : total[4 * n + e] + sum[4 * n + e];
          } else {
            const uint32_t address = my_totals + (n - kInRegisters) * 2048;
            float4 v = as_float4(sum + 4 * n);
            if (leaf > piece.first_leaf) {
              float4 so_far = load_shared_float4(address);
              add_to(so_far, v);
              v = so_far;
            }
            store_shared_float4(address, v);
          }
        }
      }
    }
    if (!kManyLeaves && piece.end < chunks) {  // another cluster goes on with this tile
      park(piece.tile - schedule.whole_tiles);
      continue;
    }
    if (config.sum_leaves && piece.last_leaf > 0 && (!shared || share == 0)) {
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
    if constexpr (config.shares > 1) {
      if (shared) {
        sharing.park(sharing.sum_of(leaves_of_share(config) - 1), sum);
        sharing.exchange();
        // For every share apart: what others finish holds no registers then.
#pragma unroll
        for (int mine = 0; mine < config.shares; ++mine) {
          if (share != mine) continue;
          WideShare<config> as_mine = sharing;
          as_mine.share = mine;
#pragma unroll
          for (int part = 0; part < config.tokens / 64; ++part) {
            if (!as_mine.has(part)) continue;
            as_mine.finish(part, sum + part * 32, [&](int n) {
              const int fragment = part * 8 + n;
              return fragment < kInRegisters ? as_float4(total + 4 * fragment)
                                             : load_shared_float4(my_totals + (fragment - kInRegisters) * 2048);
            });
          }
          writer.store(output, arguments, sum, row0, token0, [&](int part) { return as_mine.has(part); });
        }
        break;  // a shared tile is a cluster's last
      }
    }
    writer.store(output, arguments, sum, row0, token0, [&](int) { return true; });
  }
  if (thread_of_group == 0) store_wait_all();
  __syncwarp();
  cluster_sync();
}

template <WideConfig config, Epilogue epilogue = Epilogue::kNone>
__global__ __launch_bounds__(threads(config), 1) void wide(const __grid_constant__ device::TensorMap activations,
                                                           const __grid_constant__ device::TensorMap output,
                                                           const __grid_constant__ RecordMaps maps,
                                                           const LinearArguments arguments) {
  wide_product<config, epilogue>(activations, output, maps, arguments, static_cast<int>(blockIdx.x) / kWideCluster,
                                 static_cast<int>(gridDim.x) / kWideCluster);
}

template <WideConfig config>
__global__ __launch_bounds__(threads(config), 1) void wide_stack(const __grid_constant__ device::TensorMap activations,
                                                                 const __grid_constant__ StackedOutputs outputs,
                                                                 const __grid_constant__ StackedMaps maps,
                                                                 const __grid_constant__ StackedArguments stack) {
  const StackPlace place(stack);
  const LinearArguments arguments = stack.part[place.part];
  wide_product<config, Epilogue::kNone>(activations, outputs.part[place.part], maps.part[place.part], arguments,
                                        static_cast<int>(place.block()) / kWideCluster,
                                        static_cast<int>(place.blocks()) / kWideCluster);
}

}  // namespace tare::linear_cuda
