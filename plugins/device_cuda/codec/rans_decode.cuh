// Decodes exp-ans tiles on the device: a warp takes a tile, lane i its rANS lane i. The table of the tensor lies in
// shared memory. What does not fit (a tile that asks for more words than it has, a lane that does not end where the
// encoder began) is counted, never followed outside the stream. [sm_80 and up]
#pragma once
#include "jit/cuh/warp.cuh"
#include "plugins/device_cuda/codec/rans_tiles.hpp"

namespace tare::cuda_codec {

inline constexpr uint32_t kTableBits = 12, kTableMask = (1u << kTableBits) - 1, kLow = 1u << 16, kUnroll = 8;

// One symbol of each lane. `words`: where the next word lies; moved on by as many as the lanes took.
__device__ __forceinline__ uint32_t step(const uint32_t* table, uint32_t& state, const uint16_t*& words,
                                         const uint16_t* end, uint32_t below, bool active) {
  const uint32_t slot = table[state & kTableMask];
  uint32_t next = (((slot >> 8) & kTableMask) + 1) * (state >> kTableBits) + (slot >> 20);
  const bool low = active && next < kLow;
  const uint32_t takers = __ballot_sync(device::kAllLanes, low);
  const uint16_t* mine = words + __popc(takers & below);
  if (low) next = next << 16 | (mine < end ? *mine : 0);
  words += __popc(takers);
  if (active) state = next;
  return slot & 0xff;
}

template <int kWarps>
__global__ __launch_bounds__(kWarps * 32) void decode_bf16_tiles(const RansTiles a) {
  __shared__ uint32_t table[1 << kTableBits];
  for (uint32_t i = threadIdx.x; i <= kTableMask; i += kWarps * 32) table[i] = a.slots[i];
  __syncthreads();
  const uint32_t lane = threadIdx.x % 32, below = (1u << lane) - 1;
  const int64_t across = (a.columns + a.tile_columns - 1) / a.tile_columns;
  const int64_t down = (a.rows + a.tile_rows - 1) / a.tile_rows;
  for (int64_t t = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; t < a.tiles; t += int64_t{gridDim.x} * kWarps) {
    const int64_t expert = t / (across * down), within = t % (across * down);
    const int64_t row = within / across * a.tile_rows, column = within % across * a.tile_columns;
    const auto rows = static_cast<uint32_t>(min(int64_t{a.tile_rows}, a.rows - row));
    const auto columns = static_cast<uint32_t>(min(int64_t{a.tile_columns}, a.columns - column));
    const uint32_t count = rows * columns;
    const uint64_t begin = a.pieces[2 * t], stop = t + 1 < a.tiles ? a.pieces[2 * t + 2] : a.bytes;
    const uint32_t low_bytes = (count + 3) / 4 * 4;
    if (begin % 16 != 0 || stop > a.bytes || stop < begin || stop - begin < low_bytes + 4 + 128) {
      if (lane == 0) atomicAdd(a.failures, 1);
      continue;
    }
    const uint8_t* const low = a.coded + begin;
    const auto* const head = reinterpret_cast<const uint32_t*>(low + low_bytes);
    uint32_t state = head[1 + lane];
    const auto* words = reinterpret_cast<const uint16_t*>(head + 33);
    const uint16_t* const end = words + min(uint64_t{head[0]}, (stop - begin - low_bytes - 132) / 2);
    uint16_t* const out = a.out + (expert * a.rows + row) * a.columns + column;
    uint32_t r = lane / columns, c = lane % columns, i = lane;
    const auto put = [&](uint32_t symbol, uint32_t rest) {
      out[r * a.columns + c] = static_cast<uint16_t>((rest & 0x7f) | (rest & 0x80) << 8 | symbol << 7);
      c += 32;
      while (c >= columns) c -= columns, ++r;
    };
    for (uint32_t whole = count / (32 * kUnroll); whole > 0; --whole) {
      uint8_t rest[kUnroll];
#pragma unroll
      for (uint32_t u = 0; u < kUnroll; ++u) rest[u] = low[i + 32 * u];
#pragma unroll
      for (uint32_t u = 0; u < kUnroll; ++u) put(step(table, state, words, end, below, true), rest[u]);
      i += 32 * kUnroll;
    }
    for (uint32_t base = count / (32 * kUnroll) * (32 * kUnroll); base < count; base += 32) {
      const bool active = base + lane < count;
      const uint32_t symbol = step(table, state, words, end, below, active);
      if (active) put(symbol, low[base + lane]);
    }
    if (__any_sync(device::kAllLanes, state != kLow || words != end) && lane == 0) atomicAdd(a.failures, 1);
  }
}

}  // namespace tare::cuda_codec
