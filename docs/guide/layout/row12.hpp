// "row12/example-rows": BF16 matrices, row by row, in about 12 bits a number and not a bit lost. A layout is a code
// (which bytes) and an order (where they lie); a plugin may bring either or, as here, both, and the kernel that reads
// them. Pure, [any thread].
//
//   header | (rows + 1) offsets, u64 | rows
//
// The code: the high byte of a BF16 number is its sign and seven exponent bits, and trained matrices use few of the 256
// values. The 15 most frequent ones get a nibble; nibble 15 is the escape. A row: its low bytes, then the nibbles (even
// inputs in the low half), then the high bytes of its escapes in order.
#pragma once
#include <cstdint>
#include <cstring>
#include <memory>

#include "core/api/kernel.hpp"

namespace org_example {

constexpr std::string_view kRow12 = "row12/example-rows";

struct Row12Header {
  uint8_t plain = 0;  // 1: the code does not pay, rows are BF16 as they were
  uint8_t table[15] = {};
  uint8_t reserved[48] = {};
};
static_assert(sizeof(Row12Header) == 64);

// A laid-out matrix as a kernel reads it.
class Row12Matrix {
 public:
  Row12Matrix(const void* data, int64_t inputs)
      : data_(static_cast<const std::byte*>(data)), inputs_(inputs), header_(static_cast<const Row12Header*>(data)) {}
  void decode_row(int64_t row, uint16_t* out) const noexcept {
    uint64_t offset;
    std::memcpy(&offset, data_ + sizeof(Row12Header) + row * 8, 8);
    const auto* at = reinterpret_cast<const uint8_t*>(data_) + offset;
    if (header_->plain != 0) {
      std::memcpy(out, at, static_cast<size_t>(inputs_) * 2);
      return;
    }
    const uint8_t* nibbles = at + inputs_;
    const uint8_t* escapes = nibbles + (inputs_ + 1) / 2;
    for (int64_t k = 0; k < inputs_; ++k) {
      const int code = k % 2 == 0 ? nibbles[k / 2] & 15 : nibbles[k / 2] >> 4;
      const uint8_t high = code < 15 ? header_->table[code] : *escapes++;
      out[k] = static_cast<uint16_t>(high << 8 | at[k]);
    }
  }

 private:
  const std::byte* data_;
  int64_t inputs_;
  const Row12Header* header_;
};

std::unique_ptr<tare::Layout> make_row12();
std::unique_ptr<tare::KernelCandidate> make_row12_kernel();

}  // namespace org_example
