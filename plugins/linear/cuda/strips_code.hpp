// One record on the host: from plain rows to bytes and back, a strip of 16 rows at a time. The obvious versions: the
// GPU's packer (pack.cuh) gives the same bytes but for the order of the overflow list. [any thread]
#pragma once
#include <cstddef>
#include <vector>

#include "plugins/linear/cuda/strips.hpp"

namespace tare::linear_cuda {

// Exponents of the records of one strip, record by record: [count of kinds], then each kind's exponent and count.
struct StripCounts {
  std::vector<uint8_t> kinds;  // [chunks]: how many exponents the record has
  std::vector<uint8_t> exponents;
  std::vector<uint16_t> counts;
  int32_t least = 255;  // the smallest exponent of a number that is not zero, subnormals normalised (may be negative)
  int32_t most = 0;     // the largest one of a finite number
  bool has_255 = false;
};
StripCounts count_strip(const uint16_t* rows, int64_t columns);

// Escapes that a header of so many blocks holds.
constexpr uint32_t header_escapes(WeightCode code, int32_t header_blocks) {
  return static_cast<uint32_t>(code == WeightCode::kW11 ? short_escapes_in_header(header_blocks)
                                                        : escapes_in_header(header_blocks));
}

// `plain`: 16 rows; `out`: of the whole matrix. The coded ones write the strip's overflow entries from `overflow_index`
// on and return how many; -1: a weight or a record does not fit the code.
void encode_dense_strip(const StripsHead& head, int32_t strip, const uint16_t* plain, std::byte* out);
int64_t encode_coded_strip(const StripsHead& head, int32_t strip, const uint16_t* plain, uint32_t overflow_index,
                           std::byte* out);
// Rows [first, last) of a strip into `plain`. False: a header points past the overflow list.
bool decode_strip(const StripsHead& head, int32_t strip, int32_t first, int32_t last, const std::byte* in,
                  uint16_t* plain);

}  // namespace tare::linear_cuda
