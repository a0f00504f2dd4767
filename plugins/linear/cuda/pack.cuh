// Plain row-major BF16 into the resident layout and back, on the device. One warp a record, any grid. [sm_80 and up]
#pragma once
#include "jit/cuh/warp.cuh"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/decode.cuh"

namespace tare::linear_cuda {

// histogram[e] += how many of the weights have exponent e. histogram: 256 counters. blockDim.x == 256.
__global__ __launch_bounds__(256) void exponent_histogram(const uint16_t* weights, int64_t count, uint64_t* histogram) {
  __shared__ uint32_t local[256];
  local[threadIdx.x] = 0;
  __syncthreads();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    atomicAdd(&local[(weights[i] >> 7) & 255], 1u);
  }
  __syncthreads();
  atomicAdd(reinterpret_cast<unsigned long long*>(histogram + threadIdx.x),
            static_cast<unsigned long long>(local[threadIdx.x]));
}

// Where the record of this warp lies: in the plain matrix and in the layout.
struct RecordPlace {
  int64_t record;
  uint16_t* corner;  // the weight of row 0, column 0 of the record
  __device__ __forceinline__ RecordPlace(const PackArguments& a, int64_t work) {
    const int chunks = a.columns / kChunkColumns;
    const int strip = static_cast<int>(work / chunks), chunk = static_cast<int>(work - int64_t{strip} * chunks);
    record = RecordOrder{a.rows, a.columns, a.strips_per_block}.index(strip, chunk);
    corner = a.plain + int64_t{strip} * kStripRows * a.columns + chunk * kChunkColumns;
  }
  // The pair of weights that is register `reg` of lane `lane`.
  __device__ __forceinline__ uint32_t* pair(const PackArguments& a, int lane, int reg) const {
    return reinterpret_cast<uint32_t*>(corner + int64_t{fragment_row(lane, reg)} * a.columns +
                                       fragment_column(lane, reg, 0));
  }
};

template <PackConfig config>
__global__ __launch_bounds__(256) void pack(const PackArguments arguments) {
  using namespace device;
  constexpr int kPayload = payload_bytes(config.code), kHeader = header_bytes(config.code, config.header_blocks);
  const int lane = threadIdx.x % 32;
  const int64_t records = int64_t{arguments.rows / kStripRows} * (arguments.columns / kChunkColumns);
  const int64_t warps = int64_t{gridDim.x} * (blockDim.x / 32);
  for (int64_t work = int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32; work < records; work += warps) {
    const RecordPlace place(arguments, work);
    uint32_t registers[16];
#pragma unroll
    for (int r = 0; r < 16; ++r) registers[r] = *place.pair(arguments, lane, r);
    uint4* payload = reinterpret_cast<uint4*>(arguments.payload + place.record * kPayload);
    if constexpr (config.code == WeightCode::kDense) {
#pragma unroll
      for (int s = 0; s < 4; ++s) {
        payload[s * 32 + lane] =
            uint4{registers[4 * s], registers[4 * s + 1], registers[4 * s + 2], registers[4 * s + 3]};
      }
    } else {
      constexpr bool kShort = config.code == WeightCode::kW11;
      constexpr uint32_t kInHeader =
          kShort ? short_escapes_in_header(config.header_blocks) : escapes_in_header(config.header_blocks);
      // Windowed weights, and a mask of the halves that are escapes.
      uint32_t kept[16], escapes = 0;
      uint32_t unfit = 0;
#pragma unroll
      for (int r = 0; r < 16; ++r) {
        kept[r] = 0;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const uint32_t weight = (registers[r] >> (16 * half)) & 0xffff;
          if (in_window(weight, arguments.base, window_of(config.code))) {
            kept[r] |= windowed(weight, arguments.base) << (16 * half);
          } else {
            if (kShort) kept[r] |= (weight & 0x807f) << (16 * half);
            escapes |= 1u << (2 * r + half);
          }
        }
      }
      const uint32_t count = __popc(escapes);
      uint32_t before = count;
#pragma unroll
      for (int distance = 1; distance < 32; distance <<= 1) {
        const uint32_t other = __shfl_up_sync(kAllLanes, before, distance);
        if (lane >= distance) before += other;
      }
      const uint32_t total = __shfl_sync(kAllLanes, before, 31);
      before -= count;
      uint32_t overflow_index = 0;
      if (lane == 0 && total > kInHeader) overflow_index = atomicAdd(arguments.counters, total - kInHeader);
      overflow_index = __shfl_sync(kAllLanes, overflow_index, 0);
      uint32_t* header = reinterpret_cast<uint32_t*>(arguments.headers + place.record * kHeader);
      if (lane < kHeader / 4) header[lane] = lane == 0 && total != 0 ? total | overflow_index << 8 : 0;
      // A count of more than 255 does not fit: the whole matrix is no case for this code.
      if (lane == 0 && total > 255) atomicAdd(arguments.counters + 1, total);
      __syncwarp();
      uint32_t next = before;
#pragma unroll
      for (int r = 0; r < 16; ++r) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          if ((escapes >> (2 * r + half) & 1) == 0) continue;
          bool exact = true;
          const uint32_t weight = (registers[r] >> (16 * half)) & 0xffff;
          uint32_t entry;
          if constexpr (kShort) {
            entry = short_escape_entry(lane, r, half, short_escape_exponent(weight, arguments.base, exact));
          } else {
            entry = escape_entry(lane, r, half, scale_weight(weight, kDecodedExponent - arguments.base, exact));
          }
          if (!exact) ++unfit;
          if (next < kInHeader) {
            if constexpr (kShort) {
              reinterpret_cast<uint16_t*>(header)[2 + next] = static_cast<uint16_t>(entry);
            } else {
              header[1 + next] = entry;
            }
          } else if (overflow_index + next - kInHeader < arguments.overflow_capacity) {
            arguments.overflow[overflow_index + next - kInHeader] = entry;
          }
          ++next;
        }
      }
      if (unfit != 0) atomicAdd(arguments.counters + 1, unfit);
      if constexpr (kShort) {
        const ShortWords packed = pack_short(kept);
        payload[lane] = uint4{packed.low[0], packed.low[1], packed.low[2], packed.low[3]};
        payload[32 + lane] = uint4{packed.low[4], packed.low[5], packed.low[6], packed.low[7]};
        reinterpret_cast<uint2*>(payload + 64)[lane] = uint2{packed.high[0], packed.high[1]};
        reinterpret_cast<uint32_t*>(payload + 80)[lane] = packed.high[2];
        continue;
      }
      uint32_t words[12];
#pragma unroll
      for (int s = 0; s < 4; ++s) {
        const uint32_t step[4] = {kept[4 * s], kept[4 * s + 1], kept[4 * s + 2], kept[4 * s + 3]};
        const StepWords packed = pack_step(step);
#pragma unroll
        for (int i = 0; i < 3; ++i) words[3 * s + i] = packed.word[i];
      }
#pragma unroll
      for (int p = 0; p < 3; ++p) {
        payload[p * 32 + lane] = uint4{words[4 * p], words[4 * p + 1], words[4 * p + 2], words[4 * p + 3]};
      }
    }
  }
}

// Loads and decodes a record from global memory, all escapes patched one after the other. registers: as load_record's.
template <WeightCode code, int header_blocks>
__device__ __forceinline__ void load_record_global(const uint8_t* payload, const uint8_t* header,
                                                   const uint32_t* overflow, int lane, uint32_t bias,
                                                   uint32_t (&registers)[16]) {
  const uint4* planes = reinterpret_cast<const uint4*>(payload);
  if constexpr (code == WeightCode::kDense) {
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      const uint4 v = __ldg(planes + s * 32 + lane);
      registers[4 * s] = v.x, registers[4 * s + 1] = v.y, registers[4 * s + 2] = v.z, registers[4 * s + 3] = v.w;
    }
  } else {
    constexpr bool kShort = code == WeightCode::kW11;
    constexpr uint32_t kInHeader = kShort ? short_escapes_in_header(header_blocks) : escapes_in_header(header_blocks);
    const uint32_t* entries = reinterpret_cast<const uint32_t*>(header);
    const uint32_t head = __ldg(entries);
    if constexpr (kShort) {
      const uint4 a = __ldg(planes + lane), b = __ldg(planes + 32 + lane);
      const uint2 h = __ldg(reinterpret_cast<const uint2*>(planes + 64) + lane);
      const uint32_t low[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
      decode_short(low, h.x, h.y, __ldg(reinterpret_cast<const uint32_t*>(planes + 80) + lane), bias, registers);
    } else {
      uint32_t words[12];
#pragma unroll
      for (int p = 0; p < 3; ++p) {
        const uint4 v = __ldg(planes + p * 32 + lane);
        words[4 * p] = v.x, words[4 * p + 1] = v.y, words[4 * p + 2] = v.z, words[4 * p + 3] = v.w;
      }
#pragma unroll
      for (int s = 0; s < 4; ++s)
        decode_step(words[3 * s], words[3 * s + 1], words[3 * s + 2], bias, registers + 4 * s);
    }
#pragma unroll 1
    for (uint32_t i = 0; i < (head & 0xff); ++i) {
      const uint32_t entry = i >= kInHeader ? __ldg(overflow + (head >> 8) + i - kInHeader)
                             : kShort       ? __ldg(reinterpret_cast<const uint16_t*>(entries) + 2 + i)
                                            : __ldg(entries + 1 + i);
      patch_one(read_escape<code>(entry), lane, registers);
    }
  }
}

// The inverse of pack: the same bits in `plain`.
template <PackConfig config>
__global__ __launch_bounds__(256) void unpack(const PackArguments arguments) {
  constexpr int kPayload = payload_bytes(config.code), kHeader = header_bytes(config.code, config.header_blocks);
  const int lane = threadIdx.x % 32;
  const uint32_t bias = decode_bias();
  const int shift = kDecodedExponent - arguments.base;
  const int64_t records = int64_t{arguments.rows / kStripRows} * (arguments.columns / kChunkColumns);
  const int64_t warps = int64_t{gridDim.x} * (blockDim.x / 32);
  for (int64_t work = int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32; work < records; work += warps) {
    const RecordPlace place(arguments, work);
    uint32_t registers[16];
    load_record_global<config.code, config.header_blocks>(arguments.payload + place.record * kPayload,
                                                          arguments.headers + place.record * kHeader,
                                                          arguments.overflow, lane, bias, registers);
#pragma unroll
    for (int r = 0; r < 16; ++r) {
      if constexpr (config.code != WeightCode::kDense) {
        registers[r] = unscale_weight(registers[r] & 0xffff, shift) | unscale_weight(registers[r] >> 16, shift) << 16;
      }
      *place.pair(arguments, lane, r) = registers[r];
    }
  }
}

}  // namespace tare::linear_cuda
