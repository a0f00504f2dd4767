// attention/1 over paged state. Keys are taken in tiles of 64 by absolute position, so a row's bits depend neither on
// the batch nor on where a prefill was cut. `append` must have finished before `attend` starts (one stream does that).
// [sm_80 and up]
#pragma once
#include "jit/cuh/launch.cuh"
#include "jit/cuh/warp.cuh"
#include "plugins/device_cuda/ops/arguments.hpp"
#include "plugins/device_cuda/ops/element.cuh"

namespace tare::cuda_ops {

inline constexpr int kKeyTile = 64;

// The sequence that row `token` belongs to: rows of a sequence lie together.
__device__ __forceinline__ int64_t sequence_of(const AttentionArguments& a, int64_t token) {
  int low = 0, high = a.sequences - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (a.sequence_begin[middle] <= token)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// Where the token at `position` of a sequence keeps its keys or values; null where its page was given back.
__device__ __forceinline__ uint8_t* state_slot(const PagedState& state, int64_t sequence, int64_t position,
                                               bool values) {
  const int32_t page = state.pages[sequence * state.page_stride + position / state.page_tokens];
  if (page < 0) return nullptr;
  const int64_t in_page = position % state.page_tokens;
  return state.base + page * state.page_bytes + (values ? state.value_offset : state.key_offset) +
         in_page * (values ? state.value_token_bytes : state.key_token_bytes);
}

// Writes the step's k and v into the state. One block a token, any number of threads.
template <AttentionConfig config>
__global__ void append(const AttentionArguments arguments) {
  device::begin_overlapped();
  const int64_t token = blockIdx.x, position = arguments.positions[token], sequence = sequence_of(arguments, token);
  uint8_t* keys = state_slot(arguments.state, sequence, position, false);
  uint8_t* values = state_slot(arguments.state, sequence, position, true);
  if (keys == nullptr || values == nullptr) return;
  const int64_t key = token * arguments.key_stride, value = token * arguments.value_stride;
  for (int i = threadIdx.x; i < arguments.kv_heads * config.head_size; i += blockDim.x)
    store<config.element>(keys, i, load<config.element>(arguments.key, key + i));
  for (int i = threadIdx.x; i < arguments.kv_heads * config.value_size; i += blockDim.x)
    store<config.element>(values, i, load<config.element>(arguments.value, value + i));
}

template <AttentionConfig config>
__global__ __launch_bounds__(kAttentionThreads) void attend(const AttentionArguments arguments) {
  using namespace device;
  begin_overlapped();
  static_assert(config.head_size <= kMostHeadSize && config.value_size <= kMostValueSize, "heads are too wide");
  constexpr int kPerLane = (config.head_size + 31) / 32,
                kPerThread = (config.value_size + kAttentionThreads - 1) / kAttentionThreads;
  __shared__ float weights[kKeyTile], scratch[kAttentionThreads / 32];
  // Where the tile's keys and values lie: one look into the page table each. Keys that are not seen have none.
  __shared__ const uint8_t* key_at[kKeyTile];
  __shared__ const uint8_t* value_at[kKeyTile];
  const int64_t token = blockIdx.x, head = blockIdx.y, position = arguments.positions[token];
  const int64_t kv_head = head / (arguments.heads / arguments.kv_heads), sequence = sequence_of(arguments, token);
  int64_t first = 0;
  if constexpr (config.visible == Visible::kWindow)
    first = position - arguments.extent + 1 > 0 ? position - arguments.extent + 1 : 0;
  if constexpr (config.visible == Visible::kChunk) first = position / arguments.extent * arguments.extent;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int64_t query = token * arguments.query_stride + head * config.head_size;
  float q[kPerLane];
#pragma unroll
  for (int i = 0; i < kPerLane; ++i)
    q[i] = i * 32 + lane < config.head_size ? load<config.element>(arguments.query, query + i * 32 + lane) : 0.f;

  float best = minus_infinity(), total = 0.f, mixed[kPerThread];
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) mixed[i] = 0.f;
  for (int64_t tile = first / kKeyTile * kKeyTile; tile <= position; tile += kKeyTile) {
    if (threadIdx.x < kKeyTile) {
      const int64_t at = tile + threadIdx.x;
      const bool seen = at >= first && at <= position;
      key_at[threadIdx.x] = seen ? state_slot(arguments.state, sequence, at, false) : nullptr;
      value_at[threadIdx.x] = seen ? state_slot(arguments.state, sequence, at, true) : nullptr;
    }
    __syncthreads();
#pragma unroll 4
    for (int k = warp; k < kKeyTile; k += kAttentionThreads / 32) {
      // Loads of several keys are under way at once: those not seen read the state's first bytes, to no effect.
      const uint8_t* keys = key_at[k] != nullptr ? key_at[k] : arguments.state.base;
      float sum = 0.f;
#pragma unroll
      for (int i = 0; i < kPerLane; ++i)
        if (i * 32 + lane < config.head_size)
          sum += q[i] * load<config.element>(keys, kv_head * config.head_size + i * 32 + lane);
      float score = warp_sum(sum) * arguments.scale;
      if (arguments.soft_cap > 0.f) score = arguments.soft_cap * tanhf(score / arguments.soft_cap);
      if (lane == 0) weights[k] = key_at[k] != nullptr ? score : minus_infinity();
    }
    __syncthreads();
    const float mine = threadIdx.x < kKeyTile ? weights[threadIdx.x] : minus_infinity();
    const float tile_best = block_max(mine, scratch), new_best = fmaxf(best, tile_best);
    const float weight = mine == minus_infinity() ? 0.f : expf(mine - new_best);
    if (threadIdx.x < kKeyTile) weights[threadIdx.x] = weight;
    const float shrink = best == minus_infinity() ? 0.f : expf(best - new_best);
    total = total * shrink + block_sum(weight, scratch);  // its barriers also publish the weights
    best = new_best;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) mixed[i] *= shrink;
#pragma unroll 8
    for (int k = 0; k < kKeyTile; ++k) {
      const uint8_t* values = value_at[k] != nullptr ? value_at[k] : arguments.state.base;
      const float share = value_at[k] != nullptr ? weights[k] : 0.f;
#pragma unroll
      for (int i = 0; i < kPerThread; ++i) {
        const int d = i * kAttentionThreads + threadIdx.x;
        if (d < config.value_size) {
          const float v = load<config.element>(values, kv_head * config.value_size + d);
          mixed[i] = share == 0.f ? mixed[i] : mixed[i] + share * v;
        }
      }
    }
    __syncthreads();
  }
  const int64_t out = token * arguments.output_stride + head * config.value_size;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int d = i * kAttentionThreads + threadIdx.x;
    if (d < config.value_size) store<config.element>(arguments.output, out + d, mixed[i] / total);
  }
}

}  // namespace tare::cuda_ops
