#include "plugins/linear/cuda/strips_check.hpp"

#include <algorithm>
#include <cstring>

#include "plugins/linear/cuda/strips_code.hpp"

namespace tare::linear_cuda {
namespace {

Verdict check_headers(const StripsHead& head, WeightCode code, int64_t records, const std::byte* base) {
  const uint32_t in_header = header_escapes(code, head.header_blocks);
  const int64_t step = header_bytes(code, head.header_blocks);
  for (int64_t record = 0; record < records; ++record) {
    uint32_t word;
    std::memcpy(&word, base + head.headers_at + record * step, 4);
    const uint32_t count = word & 255;
    if (count > in_header && int64_t{word >> 8} + count - in_header > head.overflow_entries)
      return Verdict::no("the escapes of record ", record, " lie past the ", head.overflow_entries,
                         " entries of the overflow list");
  }
  return Verdict::yes();
}

}  // namespace

Verdict check_strips(const WeightInfo& weight, WeightCode densest, std::span<const std::byte> in) {
  if (Verdict v = fits_records(weight); !v) return v;
  const auto head = read_head(in.data(), static_cast<int64_t>(in.size()), weight);
  if (!head.ok()) return Verdict::no(head.status().message());
  if (head->bytes != static_cast<int64_t>(in.size()))
    return Verdict::no("it has ", in.size(), " bytes, its head says ", head->bytes);
  if (head->code > static_cast<int32_t>(densest))
    return Verdict::no("its head names code ", head->code, ", expected at most ", static_cast<int32_t>(densest));
  // How a matrix is cut is part of the order of its sums.
  const RecordOrder order = order_of(weight);
  if (head->strips_per_block != order.strips_per_block || head->leaves != leaves_of(weight))
    return Verdict::no("it is cut into blocks of ", head->strips_per_block, " strips and ", head->leaves,
                       " leaves, expected ", order.strips_per_block, " and ", leaves_of(weight));
  const auto code = static_cast<WeightCode>(head->code);
  const int32_t blocks = head->header_blocks;
  const bool has_blocks = code == WeightCode::kW11 ? blocks == 3 : code == WeightCode::kW12 ? blocks != 3 : blocks == 1;
  if (!has_blocks) return Verdict::no("its headers have ", blocks, " blocks, which its code does not have");
  if (code != WeightCode::kDense) {
    if (Verdict v = check_headers(*head, code, order.records(), in.data()); !v) return v;
  }
  const auto tail = in.subspan(static_cast<size_t>(head->overflow_at + head->overflow_entries * 4));
  if (std::any_of(tail.begin(), tail.end(), [](std::byte b) { return b != std::byte{0}; }))
    return Verdict::no("it does not end with zeros");
  return Verdict::yes();
}

}  // namespace tare::linear_cuda
