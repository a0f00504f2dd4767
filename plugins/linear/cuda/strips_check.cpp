#include "plugins/linear/cuda/strips_check.hpp"

#include <algorithm>
#include <cstring>

#include "plugins/linear/cuda/strips_code.hpp"

namespace tare::linear_cuda {

Verdict StripsCheck::look_at_head(std::span<const std::byte> piece) {
  if (Verdict v = fits_records(weight_); !v) return v;
  const auto head = read_head(piece.data(), static_cast<int64_t>(piece.size()), weight_);
  if (!head.ok()) return Verdict::no(head.status().message());
  if (head->bytes != bytes_) return Verdict::no("it has ", bytes_, " bytes, its head says ", head->bytes);
  if (head->code > static_cast<int32_t>(densest_))
    return Verdict::no("its head names code ", head->code, ", expected at most ", static_cast<int32_t>(densest_));
  // How a matrix is cut is part of the order of its sums.
  const RecordOrder order = order_of(weight_);
  if (head->strips_per_block != order.strips_per_block || head->leaves != leaves_of(weight_))
    return Verdict::no("it is cut into blocks of ", head->strips_per_block, " strips and ", head->leaves,
                       " leaves, expected ", order.strips_per_block, " and ", leaves_of(weight_));
  const auto code = static_cast<WeightCode>(head->code);
  const int32_t blocks = head->header_blocks;
  const bool has_blocks = code == WeightCode::kW11 ? blocks == 3 : code == WeightCode::kW12 ? blocks != 3 : blocks == 1;
  if (!has_blocks) return Verdict::no("its headers have ", blocks, " blocks, which its code does not have");
  head_ = *head;
  header_bytes_ = header_bytes(code, blocks);
  in_header_ = code == WeightCode::kDense ? 0 : header_escapes(code, blocks);
  return Verdict::yes();
}

Verdict StripsCheck::look(int64_t begin, std::span<const std::byte> piece) noexcept {
  if (begin == 0) {
    if (Verdict v = look_at_head(piece); !v) return v;
  }
  const int64_t end = begin + static_cast<int64_t>(piece.size());
  if (header_bytes_ > 0) {
    // First words of records' headers; they lie at multiples of 16, so that no piece cuts one.
    const int64_t passed = std::max<int64_t>(0, begin - head_.headers_at);
    const int64_t first = (passed + header_bytes_ - 1) / header_bytes_;
    const int64_t stop = std::min(end, head_.overflow_at);
    for (int64_t record = first, at; (at = head_.headers_at + record * header_bytes_) < stop; ++record) {
      uint32_t word;
      std::memcpy(&word, piece.data() + (at - begin), 4);
      const uint32_t count = word & 255;
      if (count > in_header_ && int64_t{word >> 8} + count - in_header_ > head_.overflow_entries)
        return Verdict::no("the escapes of record ", record, " lie past the ", head_.overflow_entries,
                           " entries of the overflow list");
    }
  }
  const int64_t zeros = std::max(begin, head_.overflow_at + head_.overflow_entries * 4);
  if (zeros < end) {
    const auto tail = piece.subspan(static_cast<size_t>(zeros - begin));
    if (std::any_of(tail.begin(), tail.end(), [](std::byte b) { return b != std::byte{0}; }))
      return Verdict::no("it does not end with zeros");
  }
  return Verdict::yes();
}

Verdict check_strips(const WeightInfo& weight, WeightCode densest, std::span<const std::byte> in) {
  return StripsCheck(weight, densest, static_cast<int64_t>(in.size())).look(0, in);
}

}  // namespace tare::linear_cuda
