// Linear product with mma.sync straight from global memory: no copy engine, no ring, any number of tokens, any
// architecture from sm_80. The fallback, and the slow obvious kernel that the others are checked against. grid: (row
// groups, tiles of tokens).
#pragma once
#include "jit/cuh/address.cuh"
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/launch.cuh"
#include "jit/cuh/mma.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/fragment.cuh"
#include "plugins/linear/cuda/pack.cuh"

namespace tare::linear_cuda {

template <PortableConfig config, Epilogue epilogue = Epilogue::kNone>
__global__ __launch_bounds__(threads(config)) void portable(const LinearArguments arguments) {
  using namespace device;
  begin_overlapped();
  static_assert(config.tokens % 8 == 0 && config.tokens >= 8 && config.tokens <= 64,
                "a tile has 8 to 64 tokens, in eights");
  static_assert(threads(config) <= 1024, "strips * k_groups warps must fit into one block");
  static_assert(shared_bytes(config) <= 49152, "the sums that meet in shared memory must fit into 48 KB");
  constexpr int kTiles = config.tokens / 8;
  constexpr int kPayload = payload_bytes(config.code), kHeader = header_bytes(config.code, config.header_blocks);
  extern __shared__ uint8_t shared_raw[];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int my_strip = warp % config.strips, k_group = warp / config.strips;
  const RecordOrder order{arguments.rows, arguments.columns, arguments.strips_per_block};
  const int strip_index = blockIdx.x * config.strips + my_strip;
  const bool inside = strip_index < order.strips();  // the last block may have idle warps, which still meet the others
  const int token0 = blockIdx.y * config.tokens;
  const uint32_t bias = decode_bias();
  const int chunks = order.chunks(), steps = chunks / arguments.leaves;
  float total[kTiles][4];

  for (int round = 0; round < arguments.leaves / config.k_groups; ++round) {
    float sum[kTiles][4];
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[n][e] = 0.f;
    }
    const int leaf = round * config.k_groups + k_group;
    for (int step = 0; step < steps && inside; ++step) {
      const int chunk = step * arguments.leaves + leaf;
      const int64_t record = order.index(strip_index, chunk);
      uint32_t a[16];
      load_record_global<config.code, config.header_blocks>(arguments.payload + record * kPayload,
                                                            arguments.headers + record * kHeader, arguments.overflow,
                                                            lane, bias, a);
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        const int token = token0 + n * 8 + lane / 4;
        const uint32_t* x = reinterpret_cast<const uint32_t*>(
                                arguments.activations + int64_t{token} * arguments.columns + chunk * kChunkColumns) +
                            lane % 4;
#pragma unroll
        for (int s = 0; s < 4; ++s) {
          const bool real = token < arguments.tokens;
          mma_m16n8k16(sum[n], a + 4 * s, real ? x[8 * s] : 0, real ? x[8 * s + 4] : 0);
        }
      }
    }
    if constexpr (config.k_groups == 1) {
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) total[n][e] = round == 0 ? sum[n][e] : total[n][e] + sum[n][e];
      }
    } else {
      const uint32_t base = shared_address(shared_raw);
      auto place = [&](int group_of_k, int n) {
        return base + (((my_strip * config.k_groups + group_of_k) * kTiles + n) * 32 + lane) * 16;
      };
#pragma unroll
      for (int n = 0; n < kTiles; ++n) store_shared_float4(place(k_group, n), as_float4(sum[n]));
      __syncthreads();
      if (k_group == 0) {
#pragma unroll
        for (int n = 0; n < kTiles; ++n) {
          float4 v = load_shared_float4(place(0, n));
          if (round > 0) v = float4{total[n][0] + v.x, total[n][1] + v.y, total[n][2] + v.z, total[n][3] + v.w};
#pragma unroll
          for (int other = 1; other < config.k_groups; ++other) add_to(v, load_shared_float4(place(other, n)));
          total[n][0] = v.x, total[n][1] = v.y, total[n][2] = v.z, total[n][3] = v.w;
        }
      }
      __syncthreads();
    }
  }
  if (!inside || k_group != 0) return;
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
    store_fragment<epilogue>(arguments, token0 + n * 8, strip_index * kStripRows, lane, as_float4(total[n]));
  }
}

}  // namespace tare::linear_cuda
