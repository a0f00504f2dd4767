// What decode_tiles is launched with: shared by host and device. [plain values]
#pragma once
#include <cstdint>

namespace tare::cuda_codec {

// A tensor of codec exp-ans as it lies in a bundle (docs/formats/bundle.md), and where its numbers go.
struct TileArguments {
  const uint8_t* coded;           // the tiles' bytes, aligned to 16
  const int64_t* begins;          // [tiles + 1] where each tile begins in them, and the end; multiples of 16, rising
  void* plain;                    // [experts * rows][columns] numbers
  unsigned long long* first_bad;  // the least tile that contradicts itself; all ones: none
  int64_t rows, columns;          // of one expert
  int64_t tiles;                  // all of them
  int32_t tile_rows, tile_columns;
  uint16_t frequencies[4][256];  // by plane and byte; each coded plane's add up to 4096
};

}  // namespace tare::cuda_codec
