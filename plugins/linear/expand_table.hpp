// Tables that put the next bytes of a stream where the bits of a mask are set, eight places at a time, for instruction
// sets whose byte shuffles have no mask of their own. Constants, [any thread].
#pragma once
#include <cstdint>

namespace tare::linear {

struct ExpandTable {
  alignas(64) uint8_t place[256][8] = {};  // by mask: which byte each place takes; 0x80: none, a shuffle gives 0
  alignas(16) uint8_t behind[9][16] = {};  // by count: what is added to the second eight places
  constexpr ExpandTable() {
    for (int mask = 0; mask < 256; ++mask) {
      uint8_t next = 0;
      for (int i = 0; i < 8; ++i) place[mask][i] = (mask >> i & 1) != 0 ? next++ : uint8_t{0x80};
    }
    for (int count = 0; count < 9; ++count)
      for (int i = 8; i < 16; ++i) behind[count][i] = static_cast<uint8_t>(count);
  }
};
inline constexpr ExpandTable kExpand;

}  // namespace tare::linear
