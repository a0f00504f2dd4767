// Linear product for few tokens with mma.sync: a block owns whole strips of 16 rows for all of K, so no sum crosses
// blocks. Two warps produce (bulk copies of payloads; of headers, and tensor copies of activations) into a ring, the
// others each multiply one strip by one group of K. Needs sm_90 or later for the copy engine. Launch: threads(config),
// shared_bytes(config), any grid; dependent launch allowed.
#pragma once
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/copy.cuh"
#include "jit/cuh/launch.cuh"
#include "jit/cuh/mma.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/decode.cuh"
#include "plugins/linear/cuda/fragment.cuh"
#include "plugins/linear/cuda/pair.cuh"
#include "plugins/linear/cuda/runs.cuh"
#include "plugins/linear/cuda/stack.cuh"

namespace tare::linear_cuda {

// The order in which a warp group meets its chunks: leaf after leaf (k_groups == 1), or k_groups leaves side by side.
template <StripConfig config>
struct StripSchedule {
  int steps;  // per group of strips
  int leaves;
  int steps_in_leaf;
  __device__ __forceinline__ explicit StripSchedule(const LinearArguments& a)
      : steps(a.columns / kChunkColumns / config.k_groups),
        leaves(config.sum_leaves ? a.leaves : 1),
        steps_in_leaf(steps / leaves) {}
  // First of the k_groups chunks of a step.
  __device__ __forceinline__ int chunk(int step) const {
    if constexpr (config.k_groups > 1) return step * config.k_groups;
    if constexpr (!config.sum_leaves) return step;
    const int leaf = step / steps_in_leaf;
    return (step - leaf * steps_in_leaf) * leaves + leaf;
  }
};

// The copies of one part of a slot's records: those of the gate lie before those of up.
template <StripConfig config, int record_bytes>
struct SlotCopier {
  static constexpr int kMatrices = config.gated ? 2 : 1, kOwn = own_strips(config);
  RunCopier<record_bytes, kOwn, config.k_groups, config.tensor_copies> of[kMatrices];
  struct Source {
    RunSource of[kMatrices];
  };
  __device__ __forceinline__ Source source(int first_strip) const {
    Source out;
#pragma unroll
    for (int m = 0; m < kMatrices; ++m) out.of[m] = of[m].source(first_strip);
    return out;
  }
  __device__ __forceinline__ void issue(const Source& s, int chunk, uint32_t to, uint32_t barrier) const {
#pragma unroll
    for (int m = 0; m < kMatrices; ++m)
      of[m].issue(s.of[m], chunk, to + m * kOwn * config.k_groups * record_bytes, barrier);
  }
};

// One matrix's product, or that of gate and up (`maps` and `parts` of two); `where`: which of its blocks this one is.
template <StripConfig config, Epilogue epilogue, class Place>
__device__ __forceinline__ void strip_product(const device::TensorMap& activations, const RecordMaps* maps,
                                              const LinearArguments* parts, const Place where) {
  const LinearArguments& arguments = parts[0];  // what all matrices share: sizes, order, tokens
  const int block = static_cast<int>(where.block()), blocks = static_cast<int>(where.blocks());
  using namespace device;
  static_assert(config.tokens == 8 || config.tokens == 16 || config.tokens == 32,
                "a strip tile has 8, 16 or 32 tokens");
  static_assert(!(config.sum_leaves && config.k_groups > 1),
                "leaves are either summed in sequence or spread over warps");
  static_assert(threads(config) <= 1024, "strips * k_groups + 2 warps must fit into one block");
  static_assert(!config.gated || config.strips % 2 == 0, "gate and up have as many strips each");
  static_assert(tensor_copies_align(config), "tensor copies write to multiples of 128 bytes");
  constexpr int kOwn = own_strips(config);
  static_assert(shared_bytes(config) <= kMaxSharedBytes,
                "the ring must fit into shared memory: fewer stages or strips");
  constexpr SlotShape kSlot = slot(config);
  constexpr int kStages = config.stages, kWarps = consumer_warps(config), kTiles = config.tokens / 8;
  constexpr int kTileBytes = config.tokens * kChunkColumns * 2;
  constexpr int kPayload = payload_bytes(config.code), kHeader = header_bytes(config.code, config.header_blocks);

  extern __shared__ uint8_t shared_raw[];
  const uint32_t ring_activations = align_up(shared_address(shared_raw), 1024);
  const uint32_t ring_payload = ring_activations + kStages * kSlot.activation_bytes;
  const uint32_t ring_headers = ring_payload + kStages * kSlot.payload_bytes;
  const uint32_t reduction = ring_headers + kStages * kSlot.header_stride;
  const uint32_t full = reduction + reduction_bytes(config);
  const uint32_t empty = full + kStages * kBarrierBytes;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(full + i * kBarrierBytes, 1);
      barrier_init(empty + i * kBarrierBytes, kWarps);
    }
    barrier_init_fence();
  }
  __syncthreads();
  start_of_pair<epilogue>(arguments);  // at the start: as good as or better than late in every measurement

  const StripSchedule<config> schedule(arguments);
  const int groups = arguments.rows / kStripRows / kOwn;
  const int my_groups = (groups - block + blocks - 1) / blocks;

  const int total = schedule.steps * my_groups;
  // Walks the steps of all groups of strips of this block: visit(step number, first strip's place, chunk).
  auto walk = [&](const auto& copier, int limit, auto&& visit) {
    int group = 0, step = 0;
    auto source = copier.source(block * kOwn);
    for (int i = 0; i < limit; ++i) {
      visit(i, source, schedule.chunk(step));
      if (++step == schedule.steps) {
        step = 0;
        source = copier.source((block + ++group * blocks) * kOwn);
      }
    }
  };
  if (warp == kWarps) {  // payloads: independent of the kernel before, so the ring fills while that still runs
    if (lane != 0) return;
    SlotCopier<config, kPayload> copier;
#pragma unroll
    for (int m = 0; m < copier.kMatrices; ++m)
      copier.of[m] = {parts[m].payload, &maps[m].payload, arguments.columns / kChunkColumns, arguments.strips_per_block,
                      policy_evict_first()};
    RingPosition ring(1);
    walk(copier, total, [&](int, const auto& source, int chunk) {
      const uint32_t barrier = full + ring.slot * kBarrierBytes;
      barrier_wait(empty + ring.slot * kBarrierBytes, ring.parity);
      barrier_expect(barrier, kSlot.transaction_bytes());
      copier.issue(source, chunk, ring_payload + ring.slot * kSlot.payload_bytes, barrier);
      ring.advance<kStages>();
    });
    return;
  }
  if (warp > kWarps) {  // headers, and activations once the kernel before has written them
    if (lane != 0) return;
    SlotCopier<config, kHeader> copier;
#pragma unroll
    for (int m = 0; m < copier.kMatrices; ++m)
      copier.of[m] = {parts[m].headers, &maps[m].headers, arguments.columns / kChunkColumns, arguments.strips_per_block,
                      policy_evict_first()};
    auto issue_headers = [&](int slot_index, const auto& source, int chunk) {
      if constexpr (kHeader > 0) {
        copier.issue(source, chunk, ring_headers + slot_index * kSlot.header_stride, full + slot_index * kBarrierBytes);
      }
    };
    walk(copier, min(kStages, total), issue_headers);
    inputs_of_pair<epilogue>(arguments);
    RingPosition ring(1);
    walk(copier, total, [&](int i, const auto& source, int chunk) {
      if (i >= kStages) {
        barrier_wait(empty + ring.slot * kBarrierBytes, ring.parity);
        issue_headers(ring.slot, source, chunk);
      }
      copy_tensor_3d(ring_activations + ring.slot * kSlot.activation_bytes, &activations, 0, 0, chunk,
                     full + ring.slot * kBarrierBytes);
      ring.advance<kStages>();
    });
    return;
  }

  const int my_strip = warp % config.strips, k_group = warp / config.strips;
  const int matrix = config.gated ? my_strip / kOwn : 0;  // gates come first
  const uint32_t* const overflow = parts[matrix].overflow;
  const uint32_t bias = decode_bias();
  uint32_t patches = 0;
  if constexpr (config.code == WeightCode::kW11) {
    patches = patch_scratch<config>(kWarps, warp, shared_address(shared_raw));
    clear_patches(patches, lane);
  }
  const int record = matrix * kOwn * config.k_groups +
                     slot_record<kOwn, config.k_groups>(my_strip - matrix * kOwn, k_group, arguments.strips_per_block);
  const uint32_t payload = ring_payload + record * kPayload, header = ring_headers + record * kHeader;
  // ldmatrix rows of an activation tile under the 128-byte swizzle: columns 0..31 and 32..63 of token lane % 8
  const uint32_t token_row = ring_activations + k_group * kTileBytes + (lane & 7) * 128;
  const uint32_t low_columns = ((lane >> 3) ^ (lane & 7)) << 4, high_columns = (((lane >> 3) + 4) ^ (lane & 7)) << 4;
  RingPosition ring(0);

  for (int group = 0; group < my_groups; ++group) {
    const int row0 = ((block + group * blocks) * kOwn + my_strip - matrix * kOwn) * kStripRows;
    float sum[kTiles][4], total[config.sum_leaves ? kTiles : 1][4];
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[n][e] = 0.f;
    }
    int left_in_leaf = schedule.steps_in_leaf;
    bool first_leaf = true;

    for (int step = 0; step < schedule.steps; ++step) {
      barrier_wait(full + ring.slot * kBarrierBytes, ring.parity);
      uint32_t b[kTiles][8], a[16];
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        load_matrix_x4(b[n], token_row + ring.slot * kSlot.activation_bytes + n * 1024 + low_columns);
        load_matrix_x4(b[n] + 4, token_row + ring.slot * kSlot.activation_bytes + n * 1024 + high_columns);
      }
      load_record<config.code, config.header_blocks>(payload + ring.slot * kSlot.payload_bytes,
                                                     header + ring.slot * kSlot.header_stride, overflow, lane, bias,
                                                     patches, a);
#pragma unroll
      for (int s = 0; s < 4; ++s) {
#pragma unroll
        for (int n = 0; n < kTiles; ++n) mma_m16n8k16(sum[n], a + 4 * s, b[n][2 * s], b[n][2 * s + 1]);
      }
      __syncwarp();
      if (lane == 0) barrier_arrive(empty + ring.slot * kBarrierBytes);
      ring.advance<kStages>();
      if constexpr (config.sum_leaves) {
        if (--left_in_leaf == 0) {
          left_in_leaf = schedule.steps_in_leaf;
#pragma unroll
          for (int n = 0; n < kTiles; ++n) {
#pragma unroll
            for (int e = 0; e < 4; ++e) {
              total[n][e] = first_leaf ? sum[n][e] : total[n][e] + sum[n][e];
              sum[n][e] = 0.f;
            }
          }
          first_leaf = false;
        }
      }
    }

    end_of_pair<epilogue>(arguments);
    auto place = [&](int strip, int group_of_k, int n) {
      return reduction + (((strip * config.k_groups + group_of_k) * kTiles + n) * 32 + lane) * 16;
    };
    // A strip's sum over its leaves, in their order.
    auto sum_of = [&](int strip, int n) {
      float4 v = load_shared_float4(place(strip, 0, n));
#pragma unroll
      for (int leaf = 1; leaf < config.k_groups; ++leaf) add_to(v, load_shared_float4(place(strip, leaf, n)));
      return v;
    };
    auto own = [&](int n) { return as_float4(config.sum_leaves ? total[n] : sum[n]); };
    if constexpr (config.gated) {
      // Warps of the gate's strip and of up's share the tokens of both where leaves wait in shared memory anyway; else
      // up's take the gate's sums.
      const int strip = my_strip - matrix * kOwn;
      constexpr bool kShared = config.k_groups > 1;
      if (kShared || matrix == 0) {
#pragma unroll
        for (int n = 0; n < kTiles; ++n) store_shared_float4(place(my_strip, k_group, n), own(n));
      }
      named_sync(1, kWarps * 32);
      constexpr int kTurns = kShared ? 2 * config.k_groups : 1;
#pragma unroll
      for (int n0 = 0; n0 < kTiles; n0 += kTurns) {
        const int n = n0 + (kShared ? matrix * config.k_groups + k_group : 0);
        if (n >= kTiles || (!kShared && matrix == 0)) continue;
        store_gated_fragment<epilogue>(parts[0], parts[1], n * 8, row0, lane, sum_of(strip, n),
                                       kShared ? sum_of(kOwn + strip, n) : own(n));
      }
      if (my_groups > 1) named_sync(1, kWarps * 32);
    } else if constexpr (config.k_groups > 1) {
#pragma unroll
      for (int n = 0; n < kTiles; ++n) store_shared_float4(place(my_strip, k_group, n), own(n));
      named_sync(1, kWarps * 32);
#pragma unroll
      for (int n0 = 0; n0 < kTiles; n0 += config.k_groups) {
        const int n = n0 + k_group;
        if (n < kTiles) store_fragment<epilogue>(arguments, n * 8, row0, lane, sum_of(my_strip, n));
      }
      if (my_groups > 1) named_sync(1, kWarps * 32);
    } else {
#pragma unroll
      for (int n = 0; n < kTiles; ++n) store_fragment<epilogue>(arguments, n * 8, row0, lane, own(n));
    }
  }
}

template <StripConfig config, Epilogue epilogue = Epilogue::kNone>
__global__ __launch_bounds__(threads(config), 1) void strip(const __grid_constant__ device::TensorMap activations,
                                                            const __grid_constant__ RecordMaps maps,
                                                            const __grid_constant__ LinearArguments arguments) {
  strip_product<config, epilogue>(activations, &maps, &arguments, WholeGrid{});
}

template <StripConfig config>
__global__ __launch_bounds__(threads(config), 1) void strip_stack(const __grid_constant__ device::TensorMap activations,
                                                                  const __grid_constant__ StackedMaps maps,
                                                                  const __grid_constant__ StackedArguments stack) {
  const StackPlace place(stack);
  strip_product<config, Epilogue::kNone>(activations, &maps.part[place.part], &stack.part[place.part], place);
}

// Gate (part 0) and up (part 1), whose output is act(gate) * up.
template <StripConfig config, Epilogue epilogue>
__global__ __launch_bounds__(threads(config), 1) void strip_gated(const __grid_constant__ device::TensorMap activations,
                                                                  const __grid_constant__ StackedMaps maps,
                                                                  const __grid_constant__ StackedArguments stack) {
  static_assert(config.gated, "half of the strips are the gate's");
  strip_product<config, epilogue>(activations, maps.part, stack.part, WholeGrid{});
}

}  // namespace tare::linear_cuda
