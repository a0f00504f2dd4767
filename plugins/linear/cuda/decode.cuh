// A warp's record from shared memory into tensor-core registers: load, decode, patch the escapes. [device; whole warp]
#pragma once
#include "jit/cuh/address.cuh"
#include "jit/cuh/barrier.cuh"
#include "jit/cuh/warp.cuh"
#include "plugins/linear/cuda/config.hpp"
#include "plugins/linear/cuda/record.hpp"

namespace tare::linear_cuda {

// The upper exponent bits of a decoded high byte, held in a register: as an immediate it would cost a second LOP3 a
// word.
__device__ __forceinline__ uint32_t decode_bias() {
  uint32_t bias;
  asm volatile("mov.b32 %0, 0x38383838;" : "=r"(bias));
  return bias;
}

// Eight weights from three words in 7 instructions: 1 rotate, 2 LOP3, 4 PRMT.
__device__ __forceinline__ void decode_step(uint32_t low_a, uint32_t low_b, uint32_t nibbles, uint32_t bias,
                                            uint32_t* registers) {
  uint32_t high_a, high_b;
  asm("lop3.b32 %0, %1, 0x87878787, %2, 0xEA;" : "=r"(high_a) : "r"(nibbles), "r"(bias));  // (x & mask) | bias
  asm("lop3.b32 %0, %1, 0x87878787, %2, 0xEA;" : "=r"(high_b) : "r"(__funnelshift_l(nibbles, nibbles, 4)), "r"(bias));
  registers[0] = __byte_perm(low_a, high_a, 0x5140);
  registers[1] = __byte_perm(low_a, high_a, 0x7362);
  registers[2] = __byte_perm(low_b, high_b, 0x5140);
  registers[3] = __byte_perm(low_b, high_b, 0x7362);
}

// The lane's 32 weights of w11 from its 11 words.
__device__ __forceinline__ void decode_short(const uint32_t (&low)[8], uint32_t h0, uint32_t h1, uint32_t h2,
                                             uint32_t bias, uint32_t (&registers)[16]) {
  const uint32_t words[6] = {h0, __funnelshift_r(h0, h0, 3), h1, __funnelshift_r(h1, h1, 3),
                             h2, __funnelshift_r(h2, h2, 3)};
  uint32_t high[8];
#pragma unroll
  for (int group = 0; group < 6; ++group) {
    asm("lop3.b32 %0, %1, 0x83838383, %2, 0xEA;" : "=r"(high[group]) : "r"(words[group]), "r"(bias));
  }
  high[6] = bias | ((h0 << 1) & 0x80808080) | ((h0 >> 5) & 0x01010101) | ((h1 >> 4) & 0x02020202);
  high[7] = bias | ((h2 << 1) & 0x80808080) | ((h2 >> 5) & 0x01010101) | ((h1 >> 5) & 0x02020202);
#pragma unroll
  for (int group = 0; group < 8; ++group) {
    registers[2 * group] = __byte_perm(low[group], high[group], 0x5140);
    registers[2 * group + 1] = __byte_perm(low[group], high[group], 0x7362);
  }
}

// An escape of either code, taken apart.
struct Escape {
  uint32_t lane, reg, half, bits;
};
template <WeightCode code>
__device__ __forceinline__ Escape read_escape(uint32_t entry) {
  if constexpr (code == WeightCode::kW11) {
    return {short_escape_lane(entry), short_escape_register(entry), short_escape_half(entry), short_escape_bits(entry)};
  } else {
    return {escape_lane(entry), escape_register(entry), escape_half(entry), escape_bits(entry)};
  }
}

// Patches one escape without a branch: a step takes as long as its warp, and a group of warps as long as its slowest,
// so that what one record in six needs is met by half the steps.
__device__ __forceinline__ void patch_one(const Escape& escape, int lane, uint32_t (&registers)[16]) {
  const uint32_t bits = escape.lane == static_cast<uint32_t>(lane) ? escape.bits << (16 * escape.half) : 0;
  uint32_t of_register[4];
#pragma unroll
  for (uint32_t r = 0; r < 4; ++r) of_register[r] = (escape.reg & 3) == r ? bits : 0;
#pragma unroll
  for (uint32_t step = 0; step < 4; ++step) {
    uint32_t* r = registers + 4 * step;
    // In C++ the compiler makes three instructions of each of these.
    asm("{\n.reg .pred here;\nsetp.eq.u32 here, %4, %5;\n"
        "@here xor.b32 %0, %0, %6;\n@here xor.b32 %1, %1, %7;\n"
        "@here xor.b32 %2, %2, %8;\n@here xor.b32 %3, %3, %9;\n}"
        : "+r"(r[0]), "+r"(r[1]), "+r"(r[2]), "+r"(r[3])
        : "r"(escape.reg >> 2), "r"(step), "r"(of_register[0]), "r"(of_register[1]), "r"(of_register[2]),
          "r"(of_register[3]));
  }
}

// Many escapes in bounded time: lane i takes escape i, puts its XOR bits at the owner's place in `scratch` (1024 bytes
// of shared memory), and every lane reads its own 16 words back; two halves of 8 registers. 32 escapes cost as much
// as 3.
template <WeightCode code, int header_blocks>
__device__ __forceinline__ void patch_many(uint32_t count, uint32_t overflow_index, uint32_t header, uint32_t scratch,
                                           const uint32_t* overflow, int lane, uint32_t (&registers)[16]) {
  using namespace device;
  constexpr bool kShort = code == WeightCode::kW11;
  constexpr uint32_t kInHeader = kShort ? short_escapes_in_header(header_blocks) : escapes_in_header(header_blocks);
#pragma unroll 1
  for (uint32_t first = 0; first < count; first += 32) {
    const uint32_t i = first + lane;
    const bool mine = i < count;
    uint32_t entry = 0;
    if (mine) {
      entry = i >= kInHeader ? __ldg(overflow + overflow_index + i - kInHeader)
              : kShort       ? load_shared_2(header + 4 + 2 * i)
                             : load_shared_4(header + 4 + 4 * i);
    }
    const Escape escape = read_escape<code>(entry);
#pragma unroll
    for (uint32_t half = 0; half < 2; ++half) {
      const uint32_t words = scratch + lane * 16;
      store_shared_16(words, uint4{0, 0, 0, 0});
      store_shared_16(words + 512, uint4{0, 0, 0, 0});
      __syncwarp();
      const uint32_t reg = escape.reg;
      if (mine && reg >> 3 == half) {
        store_shared_2(scratch + ((reg >> 2) & 1) * 512 + escape.lane * 16 + (reg & 3) * 4 + escape.half * 2,
                       static_cast<uint16_t>(escape.bits));
      }
      __syncwarp();
#pragma unroll
      for (uint32_t part = 0; part < 2; ++part) {
        const uint4 v = load_shared_16(words + part * 512);
        uint32_t* target = registers + 8 * half + 4 * part;
        target[0] ^= v.x;
        target[1] ^= v.y;
        target[2] ^= v.z;
        target[3] ^= v.w;
      }
      __syncwarp();
    }
  }
}

// Patches all escapes of a record. The record's own payload serves as scratch (its planes are in registers by then);
// `header_word` is word 0 of the header, known not to be zero.
template <WeightCode code, int header_blocks>
__device__ __forceinline__ void patch_record(uint4 header_block, uint32_t header, uint32_t payload,
                                             const uint32_t* overflow, int lane, uint32_t (&registers)[16]) {
  const uint32_t count = header_block.x & 0xff;
  if (code == WeightCode::kW12 && count <= 2) {
    patch_one(read_escape<code>(header_block.y), lane, registers);
    if (count == 2) patch_one(read_escape<code>(header_block.z), lane, registers);
    __syncwarp();
    return;
  }
  __syncwarp();
  patch_many<code, header_blocks>(count, header_block.x >> 8, header, payload, overflow, lane, registers);
  device::async_proxy_fence();  // the copy engine writes here next
  __syncwarp();
}

// w11: where this warp scatters escapes, 2 KB that hold zeros between records. To be cleared once before the first.
__device__ __forceinline__ void clear_patches(uint32_t scratch, int lane) {
#pragma unroll
  for (int plane = 0; plane < 4; ++plane) device::store_shared_16(scratch + plane * 512 + lane * 16, uint4{0, 0, 0, 0});
  __syncwarp();
}

// This warp's share of the end of the block's shared memory.
template <auto config>
__device__ __forceinline__ uint32_t patch_scratch(int consumer_warps, int warp, uint32_t shared) {
  return ((shared + shared_bytes(config) - consumer_warps * warp_patch_bytes()) & ~15u) + warp * warp_patch_bytes();
}

// Scatters one escape a lane and takes this lane's own 16 words back, which leaves zeros behind.
__device__ __forceinline__ void patch_short(uint32_t entry, bool mine, uint32_t scratch, int lane,
                                            uint32_t (&registers)[16]) {
  using namespace device;
  const Escape escape = read_escape<WeightCode::kW11>(entry);
  if (mine) {
    store_shared_2(scratch + (escape.reg >> 2) * 512 + escape.lane * 16 + (escape.reg & 3) * 4 + escape.half * 2,
                   static_cast<uint16_t>(escape.bits));
  }
  __syncwarp();
  uint4 words[4];
#pragma unroll
  for (int plane = 0; plane < 4; ++plane) words[plane] = load_shared_16(scratch + plane * 512 + lane * 16);
#pragma unroll
  for (int plane = 0; plane < 4; ++plane) {
    store_shared_16(scratch + plane * 512 + lane * 16, uint4{0, 0, 0, 0});
    registers[4 * plane + 0] ^= words[plane].x;
    registers[4 * plane + 1] ^= words[plane].y;
    registers[4 * plane + 2] ^= words[plane].z;
    registers[4 * plane + 3] ^= words[plane].w;
  }
  __syncwarp();
}

// A lane's share of a record as it lies in the slot, and the record's header: what can be on its way from shared
// memory while the record before is multiplied. Not for w11.
template <WeightCode code>
struct RawRecord {
  static constexpr int kPlanes = code == WeightCode::kDense ? 4 : 3;  // of 16 bytes a lane
  uint32_t words[4 * kPlanes];
  uint4 head;  // w12: the header's first words
};

// payload, header: shared addresses of the record.
template <WeightCode code>
__device__ __forceinline__ void fetch_record(uint32_t payload, uint32_t header, int lane, RawRecord<code>& raw) {
  static_assert(code != WeightCode::kW11, "w11 has no raw form");
#pragma unroll
  for (int plane = 0; plane < RawRecord<code>::kPlanes; ++plane) {
    const uint4 v = device::load_shared_16(payload + plane * 512 + lane * 16);
    raw.words[4 * plane + 0] = v.x;
    raw.words[4 * plane + 1] = v.y;
    raw.words[4 * plane + 2] = v.z;
    raw.words[4 * plane + 3] = v.w;
  }
  if constexpr (code == WeightCode::kW12) raw.head = device::load_shared_16(header);
}
// The 16 registers of this lane, as load_record() gives them.
template <WeightCode code, int header_blocks>
__device__ __forceinline__ void expand_record(const RawRecord<code>& raw, uint32_t payload, uint32_t header,
                                              const uint32_t* overflow, int lane, uint32_t bias,
                                              uint32_t (&registers)[16]) {
  if constexpr (code == WeightCode::kDense) {
#pragma unroll
    for (int r = 0; r < 16; ++r) registers[r] = raw.words[r];
  } else {
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      decode_step(raw.words[3 * step], raw.words[3 * step + 1], raw.words[3 * step + 2], bias, registers + 4 * step);
    }
    if (raw.head.x != 0) patch_record<code, header_blocks>(raw.head, header, payload, overflow, lane, registers);
  }
}

// The 16 registers of this lane: four steps of a0..a3. payload, header: shared addresses of the record; scratch: this
// warp's, for w11. On return all lanes may still be reading the slot: synchronise the warp before it is released.
template <WeightCode code, int header_blocks>
__device__ __forceinline__ void load_record(uint32_t payload, uint32_t header, const uint32_t* overflow, int lane,
                                            uint32_t bias, uint32_t scratch, uint32_t (&registers)[16]) {
  using namespace device;
  if constexpr (code == WeightCode::kW11) {
    // The escapes first: those of the list come from far away.
    constexpr uint32_t kInHeader = short_escapes_in_header(header_blocks);
    const uint32_t head = load_shared_4(header), count = head & 0xff;
    auto escape_at = [&](uint32_t i) {
      return i >= count      ? 0
             : i < kInHeader ? load_shared_2(header + 4 + 2 * i)
                             : __ldg(overflow + (head >> 8) + i - kInHeader);
    };
    const uint32_t entry = escape_at(lane);
    uint32_t low[8];
#pragma unroll
    for (int plane = 0; plane < 2; ++plane) {
      const uint4 v = load_shared_16(payload + plane * 512 + lane * 16);
      low[4 * plane + 0] = v.x;
      low[4 * plane + 1] = v.y;
      low[4 * plane + 2] = v.z;
      low[4 * plane + 3] = v.w;
    }
    const uint2 h = load_shared_8(payload + 1024 + lane * 8);
    const uint32_t h2 = load_shared_4(payload + 1280 + lane * 4);
    decode_short(low, h.x, h.y, h2, bias, registers);
    if (count == 0) return;
    patch_short(entry, lane < count, scratch, lane, registers);
#pragma unroll 1
    for (uint32_t first = 32; first < count; first += 32) {
      patch_short(escape_at(first + lane), first + lane < count, scratch, lane, registers);
    }
  } else {
    RawRecord<code> raw;
    fetch_record<code>(payload, header, lane, raw);
    expand_record<code, header_blocks>(raw, payload, header, overflow, lane, bias, registers);
  }
}

}  // namespace tare::linear_cuda
