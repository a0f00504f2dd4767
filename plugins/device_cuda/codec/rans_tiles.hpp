// What decode_bf16_tiles is launched with: shared by host and device. [plain values]
#pragma once
#include <cstdint>

namespace tare::cuda_codec {

// A BF16 tensor of codec exp-ans whose exponent plane alone is coded, as it lies in a bundle (docs/formats/bundle.md).
struct RansTiles {
  const uint8_t* coded;    // the stream's bytes
  const uint64_t* pieces;  // its table: begin and checksum of every tile
  const uint32_t* slots;   // by state & 4095: byte | (frequency - 1) << 8 | (slot - start) << 20
  uint16_t* out;           // [experts * rows][columns]
  uint32_t* failures;      // counts tiles that do not end as they must
  int64_t rows, columns;   // of one expert
  int64_t tiles;           // all of them
  int64_t bytes;           // of the stream
  int32_t tile_rows, tile_columns;
};

}  // namespace tare::cuda_codec
