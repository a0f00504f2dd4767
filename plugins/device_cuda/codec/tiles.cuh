// Decodes exp-ans tiles on the device: a warp takes a tile, lane i the rANS lane i of every coded plane. The tensor's
// tables lie in shared memory, made there from its frequencies. A tile that contradicts itself (planes that leave its
// bytes, a lane that does not end where the encoder began, words left over) is noted, and never followed outside them.
// [sm_80 and up]
#pragma once
#include "jit/cuh/warp.cuh"
#include "plugins/device_cuda/codec/tile_arguments.hpp"

namespace tare::cuda_codec {

inline constexpr uint32_t kTableBits = 12, kSlots = 1u << kTableBits, kLow = 1u << 16;
inline constexpr int kUnroll = 8;

// Elements of `width` bytes (1, 2, 4); bit p of `coded`: plane p is rANS, otherwise its bytes as they are.
struct TilesConfig {
  int width = 2;
  uint32_t coded = 2;
  int warps = 4;
};

template <int kWidth>
struct Element;
template <>
struct Element<1> {
  using Type = uint8_t;
  static __device__ __forceinline__ Type join(const uint32_t* p) { return static_cast<Type>(p[0]); }
};
template <>
struct Element<2> {  // plane 1 is the exponent's bits 7 to 14; plane 0 the sign above bits 0 to 6
  using Type = uint16_t;
  static __device__ __forceinline__ Type join(const uint32_t* p) {
    return static_cast<Type>((p[0] & 0x7f) | (p[0] & 0x80) << 8 | p[1] << 7);
  }
};
template <>
struct Element<4> {
  using Type = uint32_t;
  static __device__ __forceinline__ Type join(const uint32_t* p) {
    return p[0] | p[1] << 8 | (p[2] & 0x7f) << 16 | (p[2] & 0x80) << 24 | p[3] << 23;
  }
};

// A plane of the tile at hand: its bytes, or words and this lane's state.
struct Plane {
  const uint8_t* raw;
  const uint16_t* words;
  const uint16_t* end;
  uint32_t state;
};

// One symbol of each lane; words move on by as many as the lanes took.
__device__ __forceinline__ uint32_t step(const uint32_t* table, Plane& plane, uint32_t below, bool active) {
  const uint32_t slot = table[plane.state & (kSlots - 1)];
  uint32_t next = (((slot >> 8) & (kSlots - 1)) + 1) * (plane.state >> kTableBits) + (slot >> 20);
  const bool low = active && next < kLow;
  const uint32_t takers = __ballot_sync(device::kAllLanes, low);
  const uint16_t* const mine = plane.words + __popc(takers & below);
  if (low) next = next << 16 | (mine < plane.end ? *mine : 0);
  plane.words += __popc(takers);
  if (active) plane.state = next;
  return slot & 0xff;
}

// By state & 4095: byte | (frequency - 1) << 8 | (slot - start) << 20, as the host's decoder has it.
template <TilesConfig c>
__device__ __forceinline__ void make_tables(const TileArguments& a, uint32_t* tables) {
  uint32_t* const starts = tables + __popc(c.coded) * kSlots;
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (int p = 0, k = 0; p < c.width; ++p) {
    if ((c.coded >> p & 1) == 0) continue;
    if (warp == 0) {
      uint32_t sum = 0;
      for (uint32_t s = 0; s < 8; ++s) sum += a.frequencies[p][lane * 8 + s];
      uint32_t before = sum;
      for (int distance = 1; distance < 32; distance *= 2) {
        const uint32_t other = __shfl_up_sync(device::kAllLanes, before, distance);
        if (lane >= distance) before += other;
      }
      before -= sum;
      for (uint32_t s = 0; s < 8; ++s) {
        starts[lane * 8 + s] = before;
        before += a.frequencies[p][lane * 8 + s];
      }
    }
    __syncthreads();
    for (uint32_t s = warp; s < 256; s += c.warps) {
      const uint32_t frequency = a.frequencies[p][s], start = starts[s];
      for (uint32_t i = lane; i < frequency && start + i < kSlots; i += 32)
        tables[k * kSlots + start + i] = s | (frequency - 1) << 8 | i << 20;
    }
    __syncthreads();
    ++k;
  }
}

// The planes of a tile of `count` elements in `bytes` bytes at `tile`; false: they do not fill them exactly.
template <TilesConfig c>
__device__ __forceinline__ bool find_planes(const uint8_t* tile, uint64_t bytes, uint32_t count, uint32_t lane,
                                            Plane (&planes)[c.width]) {
  uint64_t at = 0;
#pragma unroll
  for (int p = 0; p < c.width; ++p) {
    if (c.coded >> p & 1) {
      if (at + 4 + 4 * 32 > bytes) return false;
      const auto* const head = reinterpret_cast<const uint32_t*>(tile + at);
      const uint64_t words = head[0];
      planes[p].state = head[1 + lane];
      planes[p].words = reinterpret_cast<const uint16_t*>(head + 33);
      planes[p].end = planes[p].words + words;
      at += 4 + 4 * 32 + 2 * (words + words % 2);
    } else {
      planes[p].raw = tile + at;
      at += (count + 3) / 4 * 4;
    }
    if (at > bytes) return false;
  }
  return (at + 15) / 16 * 16 == bytes;
}

template <TilesConfig c>
__global__ __launch_bounds__(c.warps * 32) void decode_tiles(const __grid_constant__ TileArguments a) {
  extern __shared__ uint32_t tables[];
  make_tables<c>(a, tables);
  const uint32_t lane = threadIdx.x % 32, below = (1u << lane) - 1;
  const int64_t across = (a.columns + a.tile_columns - 1) / a.tile_columns;
  const int64_t down = (a.rows + a.tile_rows - 1) / a.tile_rows;
  for (int64_t t = int64_t{blockIdx.x} * c.warps + threadIdx.x / 32; t < a.tiles; t += int64_t{gridDim.x} * c.warps) {
    const int64_t expert = t / (across * down), within = t % (across * down);
    const int64_t row = within / across * a.tile_rows, column = within % across * a.tile_columns;
    const auto rows = static_cast<uint32_t>(min(int64_t{a.tile_rows}, a.rows - row));
    const auto columns = static_cast<uint32_t>(min(int64_t{a.tile_columns}, a.columns - column));
    const uint32_t count = rows * columns;
    const int64_t begin = a.begins[t];
    Plane planes[c.width];
    if (!find_planes<c>(a.coded + begin, static_cast<uint64_t>(a.begins[t + 1] - begin), count, lane, planes)) {
      if (lane == 0) atomicMin(a.first_bad, static_cast<unsigned long long>(t));
      continue;
    }
    using Number = typename Element<c.width>::Type;
    Number* const out = static_cast<Number*>(a.plain) + (expert * a.rows + row) * a.columns + column;
    uint32_t r = lane / columns, col = lane % columns;
    // Element base + lane of the tile; `raw` has the bytes of the planes that are not coded.
    const auto decode = [&](const uint32_t(&raw)[c.width], bool active) {
      uint32_t bytes[c.width];
#pragma unroll
      for (int p = 0, k = 0; p < c.width; ++p)
        bytes[p] = c.coded >> p & 1 ? step(tables + kSlots * k++, planes[p], below, active) : raw[p];
      if (!active) return;
      out[r * a.columns + col] = Element<c.width>::join(bytes);
      col += 32;
      while (col >= columns) col -= columns, ++r;
    };
    uint32_t base = 0;
    for (; base + 32 * kUnroll <= count; base += 32 * kUnroll) {
      uint32_t raw[kUnroll][c.width];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u)
#pragma unroll
        for (int p = 0; p < c.width; ++p)
          if ((c.coded >> p & 1) == 0) raw[u][p] = planes[p].raw[base + 32 * u + lane];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) decode(raw[u], true);
    }
    for (; base < count; base += 32) {
      const bool active = base + lane < count;
      uint32_t raw[c.width];
#pragma unroll
      for (int p = 0; p < c.width; ++p)
        if ((c.coded >> p & 1) == 0) raw[p] = active ? planes[p].raw[base + lane] : 0;
      decode(raw, active);
    }
    bool bad = false;
#pragma unroll
    for (int p = 0; p < c.width; ++p)
      if (c.coded >> p & 1) bad |= planes[p].state != kLow || planes[p].words != planes[p].end;
    if (__any_sync(device::kAllLanes, bad) && lane == 0) atomicMin(a.first_bad, static_cast<unsigned long long>(t));
  }
}

}  // namespace tare::cuda_codec
