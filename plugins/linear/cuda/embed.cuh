// embed/1: rows gathered by token id, out of plain rows or straight out of records, decoded. One block a token, any
// number of threads. An id outside the table gives zeros (the engine refuses such ids before). [sm_80 and up]
#pragma once
#include "jit/cuh/launch.cuh"
#include "plugins/linear/cuda/reference.cuh"
#include "plugins/linear/cuda/simple_arguments.hpp"

namespace tare::linear_cuda {

// The weight at row `row` of a record, column `column`, as bf16 bits.
template <EmbedConfig config>
__device__ __forceinline__ uint32_t record_weight(const EmbedArguments& a, int64_t record, int row, int column) {
  const int step = column / 16, half = column % 2, lane = row % 8 * 4 + column % 8 / 2;
  const int reg = 2 * (column % 16 / 8) + row / 8;  // of the step
  const uint8_t* payload = a.payload + record * payload_bytes(config.code);
  if constexpr (config.code == WeightCode::kDense) {
    return reinterpret_cast<const uint16_t*>(payload + step * 512 + lane * 16 + reg * 4)[half];
  } else {
    constexpr bool kShort = config.code == WeightCode::kW11;
    uint32_t weight;
    if constexpr (kShort) {
      ShortWords words;
#pragma unroll
      for (int i = 0; i < 8; ++i)
        words.low[i] = *reinterpret_cast<const uint32_t*>(payload + i / 4 * 512 + lane * 16 + i % 4 * 4);
      words.high[0] = *reinterpret_cast<const uint32_t*>(payload + 1024 + lane * 8);
      words.high[1] = *reinterpret_cast<const uint32_t*>(payload + 1024 + lane * 8 + 4);
      words.high[2] = *reinterpret_cast<const uint32_t*>(payload + 1280 + lane * 4);
      const RecordRegisters registers = unpack_short(words);
      weight = registers.reg[0];
#pragma unroll
      for (int r = 1; r < 16; ++r) weight = 4 * step + reg == r ? registers.reg[r] : weight;
    } else {
      StepWords words;
#pragma unroll
      for (int i = 0; i < 3; ++i) {
        const int word = 3 * step + i;
        words.word[i] = *reinterpret_cast<const uint32_t*>(payload + word / 4 * 512 + lane * 16 + word % 4 * 4);
      }
      const StepRegisters registers = unpack_step(words);
      weight = registers.reg[0];
#pragma unroll
      for (int r = 1; r < 4; ++r) weight = reg == r ? registers.reg[r] : weight;
    }
    weight = weight >> (16 * half) & 0xffff;
    constexpr uint32_t kInHeader =
        kShort ? short_escapes_in_header(config.header_blocks) : escapes_in_header(config.header_blocks);
    const uint8_t* header = a.headers + record * header_bytes(config.code, config.header_blocks);
    const uint32_t head = *reinterpret_cast<const uint32_t*>(header);
    for (uint32_t i = 0; i < (head & 255); ++i) {
      const uint32_t entry = i >= kInHeader ? a.overflow[(head >> 8) + i - kInHeader]
                             : kShort       ? reinterpret_cast<const uint16_t*>(header)[2 + i]
                                            : reinterpret_cast<const uint32_t*>(header)[1 + i];
      const uint32_t owner = kShort ? short_escape_lane(entry) : escape_lane(entry);
      const uint32_t place = kShort ? short_escape_register(entry) : escape_register(entry);
      const uint32_t which = kShort ? short_escape_half(entry) : escape_half(entry);
      if (owner == static_cast<uint32_t>(lane) && place == static_cast<uint32_t>(4 * step + reg) &&
          which == static_cast<uint32_t>(half))
        weight ^= kShort ? short_escape_bits(entry) : escape_bits(entry);
    }
    return unscale_weight(weight, kDecodedExponent - a.base);
  }
}

template <EmbedConfig config>
__global__ void embed(const EmbedArguments arguments) {
  device::begin_overlapped();
  const int32_t id = arguments.ids[blockIdx.x];
  const bool inside = id >= 0 && id < arguments.rows;
  const int64_t out = int64_t{blockIdx.x} * arguments.output_stride;
  const RecordOrder order{arguments.rows, arguments.columns, arguments.strips_per_block};
  for (int i = threadIdx.x; i < arguments.columns; i += blockDim.x) {
    float value = 0.f;
    if (inside) {
      if constexpr (config.records)
        value = device::bf16_to_float(static_cast<uint16_t>(record_weight<config>(
            arguments, order.index(id / kStripRows, i / kChunkColumns), id % kStripRows, i % kChunkColumns)));
      else
        value = read_number<config.table>(arguments.table, int64_t{id} * arguments.columns + i);
    }
    write_number<config.output>(arguments.output, out + i, value);
  }
}

}  // namespace tare::linear_cuda
