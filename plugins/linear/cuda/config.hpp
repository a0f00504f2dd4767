// The typed configurations of the linear kernels: each is the one template argument of its kernel. Included by host
// code and by kernels; holds no CUDA. Every function here is pure: any thread.
//
// All kernels of one matrix read one resident copy (record.hpp) and keep one order of the K sum (arguments.hpp), so
// they give the same bits at every number of tokens; which one runs is a question of speed alone.
#pragma once
#include <cstdint>

#include "plugins/linear/cuda/record.hpp"

namespace tare::linear_cuda {

inline constexpr int kMaxSharedBytes = 232448;  // a block's limit on sm_90; others check against the device
inline constexpr int kBarrierBytes = 8;

// Widths of a wgmma tile that the kernels are made for.
constexpr bool is_tile_width(int tokens) {
  return tokens == 48 || tokens == 64 || tokens == 96 || tokens == 128 || tokens == 192 || tokens == 256;
}

constexpr int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

// One slot of a ring: `records` records with their headers, and `activation_tiles` tiles of tokens x 64 columns.
struct SlotShape {
  int payload_bytes = 0;
  int header_bytes = 0;
  int header_stride = 0;
  int activation_bytes = 0;
  constexpr int bytes() const { return payload_bytes + header_stride + activation_bytes; }
  constexpr int transaction_bytes() const { return payload_bytes + header_bytes + activation_bytes; }
};

constexpr SlotShape slot_shape(WeightCode code, int header_blocks, int records, int tokens, int activation_tiles) {
  SlotShape s;
  s.payload_bytes = records * payload_bytes(code);
  s.header_bytes = records * header_bytes(code, header_blocks);
  s.header_stride = round_up(s.header_bytes, 128);
  s.activation_bytes = activation_tiles * tokens * kChunkColumns * 2;
  return s;
}

// Where the consumer warps of w11 scatter escapes, at the end of a block's shared memory: 2 KB each, and 16 to align.
constexpr int warp_patch_bytes() { return 2048; }
constexpr int patch_bytes(WeightCode code, int consumer_warps) {
  return code == WeightCode::kW11 ? consumer_warps * warp_patch_bytes() + 16 : 0;
}

// strip.cuh: few tokens, mma.sync. A block owns `strips` neighbouring strips for the whole of K: no sum crosses blocks.
// k_groups > 1: as many warps share a strip, each adding one leaf (needs leaves == k_groups). k_groups == 1: leaves in
// sequence.
struct StripConfig {
  WeightCode code = WeightCode::kW12;
  int32_t header_blocks = 1;
  int32_t tokens = 8;  // 8, 16, 32: the tile; more rows than that take another kernel
  int32_t strips = 2;  // per block
  int32_t k_groups = 4;
  int32_t stages = 6;          // slots of the ring
  bool sum_leaves = false;     // k_groups == 1 and more than one leaf
  bool tensor_copies = false;  // records by one tensor copy a slot instead of one bulk copy a run
  bool gated = false;          // two matrices, gate and up: half of the strips of each, finished together
  friend constexpr bool operator==(const StripConfig&, const StripConfig&) = default;
};

// Strips of each matrix.
constexpr int own_strips(const StripConfig& c) { return c.gated ? c.strips / 2 : c.strips; }

// Tensor copies write to multiples of 128 bytes; up's headers follow the gate's.
constexpr bool tensor_copies_align(const StripConfig& c) {
  return !c.gated || !c.tensor_copies || own_strips(c) * c.k_groups * header_bytes(c.code, c.header_blocks) % 128 == 0;
}

constexpr SlotShape slot(const StripConfig& c) {
  return slot_shape(c.code, c.header_blocks, c.strips * c.k_groups, c.tokens, c.k_groups);
}
constexpr int consumer_warps(const StripConfig& c) { return c.strips * c.k_groups; }
constexpr int threads(const StripConfig& c) { return (consumer_warps(c) + 2) * 32; }
constexpr int reduction_bytes(const StripConfig& c) {
  const int warps = c.k_groups > 1 ? consumer_warps(c) : c.gated ? own_strips(c) : 0;
  return warps * (c.tokens / 8) * 512;
}
constexpr int shared_bytes(const StripConfig& c) {
  return 1024 + c.stages * (slot(c).bytes() + 2 * kBarrierBytes) + reduction_bytes(c) +
         patch_bytes(c.code, consumer_warps(c));
}

// cluster.cuh: wgmma. A tile of row_groups x 64 rows and `tokens` tokens belongs to a cluster of `cluster` blocks; the
// leaves lie over k_groups warpgroups and the blocks of the cluster and meet in distributed shared memory, in leaf
// order. leaves == k_groups * cluster. With one leaf a block walks over several tiles.
struct ClusterConfig {
  WeightCode code = WeightCode::kW12;
  int32_t header_blocks = 1;
  int32_t tokens = 64;  // 48, 64, 96, 128, 192, 256
  int32_t row_groups = 1;
  int32_t k_groups = 2;
  int32_t cluster = 2;
  int32_t stages = 6;
  bool overlap = true;         // decode the next record while the tensor cores work on this one
  bool tensor_copies = false;  // records by one tensor copy a slot instead of one bulk copy a run
  friend constexpr bool operator==(const ClusterConfig&, const ClusterConfig&) = default;
};

constexpr SlotShape slot(const ClusterConfig& c) {
  return slot_shape(c.code, c.header_blocks, 4 * c.row_groups * c.k_groups, c.tokens, c.k_groups);
}
constexpr int warpgroups(const ClusterConfig& c) { return c.row_groups * c.k_groups; }
constexpr int threads(const ClusterConfig& c) { return (warpgroups(c) + 1) * 128; }
constexpr int leaves(const ClusterConfig& c) { return c.k_groups * c.cluster; }
constexpr int reduction_bytes(const ClusterConfig& c) {
  return leaves(c) > 1 ? warpgroups(c) * (c.tokens / 8) * 2048 : 0;  // lies over the drained ring
}
constexpr int shared_bytes(const ClusterConfig& c) {
  const int ring = c.stages * slot(c).bytes();
  return 2048 + (ring > reduction_bytes(c) ? ring : reduction_bytes(c)) +  // 1024 to align, 1024 for the barriers
         patch_bytes(c.code, 4 * warpgroups(c));
}

// stream.cuh: wgmma, leaf-aligned stream-K. The (tile, leaf) pairs are dealt out evenly; whoever has leaf 0 of a tile
// adds the others' sums from the workspace in leaf order. Every block must be resident at once.
struct StreamConfig {
  WeightCode code = WeightCode::kW12;
  int32_t header_blocks = 1;
  int32_t tokens = 128;  // 48, 64, 96, 128, 192, 256
  int32_t row_groups = 2;
  int32_t stages = 6;
  bool sum_leaves = true;      // blocks may hold several leaves of one tile (needs registers for a second set of sums)
  bool tensor_copies = false;  // records by one tensor copy a slot instead of one bulk copy a run
  friend constexpr bool operator==(const StreamConfig&, const StreamConfig&) = default;
};

constexpr SlotShape slot(const StreamConfig& c) {
  return slot_shape(c.code, c.header_blocks, 4 * c.row_groups, c.tokens, 1);
}
constexpr int threads(const StreamConfig& c) { return (c.row_groups + 1) * 128; }
constexpr int shared_bytes(const StreamConfig& c) {
  return 1024 + c.stages * (slot(c).bytes() + 2 * kBarrierBytes) + patch_bytes(c.code, 4 * c.row_groups);
}
// Bytes of workspace for `blocks` blocks and `leaves` leaves.
constexpr int64_t partial_bytes(const StreamConfig& c, int blocks, int leaves) {
  return int64_t{blocks} * leaves * c.row_groups * 128 * (c.tokens / 8) * 16;
}

// wide.cuh: wgmma for many tokens. A cluster of two blocks owns tiles of 2 x 64 * row_groups rows x `tokens`; each
// block decodes its own rows, the activations come once for both. Weights and activations have rings of their own: a
// weight's slot is free as soon as it is decoded. One leaf: tiles may be cut between clusters anywhere, the
// accumulators travel through L2 and the bits stay. More leaves: the running total stays on the chip, register_groups
// fragments of it in registers, the others in shared memory.
struct WideConfig {
  WeightCode code = WeightCode::kW12;
  int32_t header_blocks = 1;
  int32_t tokens = 256;    // 128, 192, 256
  int32_t row_groups = 2;  // consumer warpgroups; 3 with 128 tokens, for rows that 3 x 128 divides
  int32_t chunks = 1;      // of K in a slot of either ring: 1, or 2 with 128 tokens
  int32_t weight_stages = 4;
  int32_t activation_stages = 4;
  bool sum_leaves = false;      // a cluster may hold more than one leaf of a tile
  int32_t register_groups = 0;  // of tokens / 8 groups; with sum_leaves only
  int32_t output_buffers =
      2;             // staging of 64 tokens x 64 rows each, a warpgroup; lies over the totals in shared memory
  int32_t band = 8;  // row tiles that share activations in L2 before the next token tile
  bool cut = false;  // one leaf only: cut the last tiles evenly; pays where whole ones would leave clusters idle
  // More than 1: as many clusters share a tile's leaves evenly, one or two each, and finish a part of its tokens each.
  // All of them at once on the device.
  int32_t shares = 1;
  // shares and sum_leaves only, more than 0: clusters walk over whole tiles first, and only those of the last round are
  // shared, so many leaves (1 or 2) a cluster. Where the last round's tiles are too many for that, they are whole too.
  int32_t rest_leaves = 0;
  bool tensor_copies = false;  // records by one tensor copy a slot instead of one bulk copy a run
  friend constexpr bool operator==(const WideConfig&, const WideConfig&) = default;
};

inline constexpr int kWideCluster = 2, kWideOutputBytes = 64 * 64 * 2;
constexpr int block_rows(const WideConfig& c) { return 64 * c.row_groups; }
// One chunk of a slot.
constexpr SlotShape weight_slot(const WideConfig& c) {
  return slot_shape(c.code, c.header_blocks, block_rows(c) / kStripRows, 0, 0);
}
constexpr int activation_slot_bytes(const WideConfig& c) { return c.tokens * kChunkColumns * 2; }
constexpr int threads(const WideConfig& c) { return (c.row_groups + 1) * 128; }
constexpr int shared_groups(const WideConfig& c) { return c.sum_leaves ? c.tokens / 8 - c.register_groups : 0; }
// Of one warpgroup: totals, or the output's staging.
constexpr int scratch_bytes(const WideConfig& c) {
  const int totals = shared_groups(c) * 2048, staging = c.output_buffers * kWideOutputBytes;
  return totals > staging ? round_up(totals, 1024) : staging;
}
constexpr int shared_bytes(const WideConfig& c) {
  return 1024 + c.activation_stages * c.chunks * activation_slot_bytes(c) + c.row_groups * scratch_bytes(c) +
         c.weight_stages * c.chunks * weight_slot(c).bytes() +
         (c.weight_stages + c.activation_stages) * 2 * kBarrierBytes + patch_bytes(c.code, 4 * c.row_groups);
}
// With shares: leaves that one cluster holds, and sums that are handed on (the first cluster adds its own before).
constexpr int leaves_of_share(const WideConfig& c) { return c.rest_leaves > 0 ? c.rest_leaves : c.sum_leaves ? 2 : 1; }
constexpr int shared_sums(const WideConfig& c) { return 1 + (c.shares - 1) * leaves_of_share(c); }
// Workspace for parked accumulators: of at most two cut tiles a cluster, or shared sums.
constexpr int64_t partial_bytes(const WideConfig& c, int clusters) {
  const int64_t sums = c.shares > 1 ? int64_t{clusters / c.shares} * shared_sums(c) : int64_t{clusters} * 2;
  return sums * kWideCluster * c.row_groups * (c.tokens / 8) * 128 * 16;
}

// portable.cuh: mma.sync straight from global memory; any architecture from sm_80, any number of tokens. The fallback.
// k_groups warps share a strip, one leaf each at a time; a block takes one tile of tokens (grid y).
struct PortableConfig {
  WeightCode code = WeightCode::kW12;
  int32_t header_blocks = 1;
  int32_t tokens = 16;   // 8, 16, 32, 64
  int32_t strips = 4;    // per block
  int32_t k_groups = 1;  // divides leaves
  friend constexpr bool operator==(const PortableConfig&, const PortableConfig&) = default;
};

constexpr int threads(const PortableConfig& c) { return c.strips * c.k_groups * 32; }
constexpr int shared_bytes(const PortableConfig& c) {
  return c.k_groups > 1 ? c.strips * c.k_groups * (c.tokens / 8) * 512 : 0;
}

// pack.cuh
struct PackConfig {
  WeightCode code = WeightCode::kW12;
  int32_t header_blocks = 1;
  friend constexpr bool operator==(const PackConfig&, const PackConfig&) = default;
};

}  // namespace tare::linear_cuda
