// Lanes are outputs, so each output has one chain of multiply-adds in order of K whatever the width of a vector and the
// number of rows: targets with FMA give equal bits. BF16 weights are widened in registers (the even K of a pair is the
// lower half of a 32-bit lane).
#include "plugins/linear/cpu_highway_multiply.hpp"

#include "plugins/linear/cpu_tiles.hpp"

// clang-format off
#include "plugins/linear/cpu_highway_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "plugins/linear/cpu_highway_multiply.cpp"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tare::linear {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, 16>;
using U = hn::RebindToUnsigned<F>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(F()));

struct Strip {
  const std::byte* weights;  // at its first tile
  int64_t units;             // chunks of 32 inputs (BF16), inputs (F32)
  const float* x;
  int64_t x_stride;
  int64_t prefetch;
  float* sums;  // at its first tile; rows lie 64 apart
};

// kRows rows by kTileCount tiles of 16 outputs.
template <int kRows, int kTileCount>
HWY_INLINE void multiply_bf16(const Strip& s) {
  constexpr int kVectors = kTileCount * 16 / kLanes, kPerTile = 16 / kLanes;
  const F f;
  const U u;
  hn::Vec<F> sum[kRows][kVectors];
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(16)
  for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(f);
  const auto upper_half = hn::Set(u, 0xffff0000u);
  const std::byte* w = s.weights;
  const float* x = s.x;
  for (int64_t c = 0; c < s.units; ++c, w += kChunkBytes, x += kChunkInputs)
    for (int p = 0; p < kChunkPairs; ++p) {
      if (s.prefetch != 0) HWY_UNROLL(4)
      for (int t = 0; t < kTileCount; ++t) hwy::Prefetch(w + t * kTileBytes + p * 64 + s.prefetch);
      HWY_UNROLL(16)
      for (int v = 0; v < kVectors; ++v) {
        const std::byte* const at = w + v / kPerTile * kTileBytes + p * 64 + v % kPerTile * kLanes * 4;
        const auto pair = hn::LoadU(u, reinterpret_cast<const uint32_t*>(at));
        const auto even = hn::BitCast(f, hn::ShiftLeft<16>(pair)), odd = hn::BitCast(f, hn::And(pair, upper_half));
        HWY_UNROLL(8)
        for (int r = 0; r < kRows; ++r) {
          sum[r][v] = hn::MulAdd(even, hn::Set(f, x[r * s.x_stride + 2 * p]), sum[r][v]);
          sum[r][v] = hn::MulAdd(odd, hn::Set(f, x[r * s.x_stride + 2 * p + 1]), sum[r][v]);
        }
      }
    }
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(16)
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], f, s.sums + r * kStripOutputs + v * kLanes);
}

template <int kRows, int kTileCount>
HWY_INLINE void multiply_f32(const Strip& s) {
  constexpr int kVectors = kTileCount * 16 / kLanes;
  const F f;
  hn::Vec<F> sum[kRows][kVectors];
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(16)
  for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(f);
  const auto* w = reinterpret_cast<const float*>(s.weights);
  for (int64_t k = 0; k < s.units; ++k, w += kStripOutputs) {
    if (s.prefetch != 0) HWY_UNROLL(4)
    for (int t = 0; t < kTileCount; ++t)
      hwy::Prefetch(reinterpret_cast<const std::byte*>(w + t * kTileOutputs) + s.prefetch);
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) {
      const auto weight = hn::LoadU(f, w + v * kLanes);
      HWY_UNROLL(8)
      for (int r = 0; r < kRows; ++r) sum[r][v] = hn::MulAdd(weight, hn::Set(f, s.x[r * s.x_stride + k]), sum[r][v]);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(16)
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], f, s.sums + r * kStripOutputs + v * kLanes);
}

// As many tiles as the registers hold sums for (sums take kRows · kTileCount · 16 / kLanes of them): 32 registers of 16
// lanes, 16 of 8 or 4.
constexpr int kMostRows = kLanes == 16 ? 6 : kLanes == 8 ? 5 : 2;
template <int kRows>
constexpr int kTileCountFor = kLanes == 16                ? 4
                              : kLanes == 8 && kRows == 1 ? 4
                              : kLanes == 8 && kRows == 2 ? 2
                              : kLanes == 4 && kRows == 1 ? 2
                                                          : 1;

template <bool kBf16, int kRows>
void multiply_rows(Strip s) {
  constexpr int kTileCount = kTileCountFor<kRows>;
  for (int t = 0; t < static_cast<int>(kTiles); t += kTileCount) {
    if constexpr (kBf16) {
      multiply_bf16<kRows, kTileCount>(s);
      s.weights += kTileCount * kTileBytes;
    } else {
      multiply_f32<kRows, kTileCount>(s);
      s.weights += kTileCount * kTileOutputs * 4;
    }
    s.sums += kTileCount * kTileOutputs;
  }
}

template <bool kBf16>
void multiply(const MultiplyBlock& b) {
  const int64_t sums_per_strip = round_up(b.rows, 16) * kStripOutputs;
  for (int64_t i = 0; i < b.strips; ++i)
    for (int64_t m = 0; m < b.rows;) {
      const int64_t left = b.rows - m;
      const Strip s{b.weights + i * b.strip_bytes,
                    kBf16 ? num_chunks(b.inputs) : b.inputs,
                    static_cast<const float*>(b.x.data) + (b.row_begin + m) * b.x.row_stride,
                    b.x.row_stride,
                    m == 0 ? b.prefetch : 0,
                    b.sums + i * sums_per_strip + m * kStripOutputs};
      if (kMostRows >= 6 && left >= 6) {
        multiply_rows<kBf16, kMostRows >= 6 ? 6 : 1>(s), m += 6;
      } else if (kMostRows >= 5 && left >= 5) {
        multiply_rows<kBf16, kMostRows >= 5 ? 5 : 1>(s), m += 5;
      } else if (kMostRows >= 4 && left >= 4) {
        multiply_rows<kBf16, kMostRows >= 4 ? 4 : 1>(s), m += 4;
      } else if (kMostRows >= 3 && left >= 3) {
        multiply_rows<kBf16, kMostRows >= 3 ? 3 : 1>(s), m += 3;
      } else if (left >= 2) {
        multiply_rows<kBf16, 2>(s), m += 2;
      } else {
        multiply_rows<kBf16, 1>(s), m += 1;
      }
    }
}

HighwayFunctions functions() { return {multiply<true>, multiply<false>}; }

}  // namespace HWY_NAMESPACE
}  // namespace tare::linear
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tare::linear {

HighwayFunctions highway_functions(CpuTarget target) noexcept {
  return TARE_CHOOSE_CPU_TARGET(target, functions)();
}

}  // namespace tare::linear
#endif
