#include "plugins/linear/cuda/strips_code.hpp"

#include <algorithm>
#include <cstring>

namespace tare::linear_cuda {
namespace {

// The 16 registers of a lane: plain weights of its places in the record at `corner`.
void gather(const uint16_t* corner, int64_t columns, int lane, uint32_t (&registers)[16]) {
  const uint16_t* const upper = corner + lane / 4 * columns + 2 * (lane % 4);
  for (int r = 0; r < 16; ++r) {
    const uint16_t* from = upper + (r & 1 ? 8 * columns : 0) + fragment_column(0, r, 0);
    std::memcpy(&registers[r], from, 4);
  }
}
void scatter(const uint32_t (&registers)[16], int lane, int32_t first, int32_t last, int64_t columns,
             uint16_t* corner) {
  for (int r = 0; r < 16; ++r) {
    const int row = fragment_row(lane, r);
    if (row < first || row >= last) continue;
    std::memcpy(corner + (row - first) * columns + fragment_column(lane, r, 0), &registers[r], 4);
  }
}
RecordOrder order_of(const StripsHead& h) { return {h.rows, h.columns, h.strips_per_block}; }

}  // namespace

StripCounts count_strip(const uint16_t* rows, int64_t columns) {
  StripCounts out;
  out.kinds.reserve(static_cast<size_t>(columns / kChunkColumns));
  for (int64_t chunk = 0; chunk < columns / kChunkColumns; ++chunk) {
    uint16_t histogram[2][256] = {};  // two, so that runs of one exponent do not wait for each other
    for (int row = 0; row < kStripRows; ++row) {
      const uint16_t* const from = rows + row * columns + chunk * kChunkColumns;
      for (int i = 0; i < kChunkColumns; i += 2) {
        ++histogram[0][(from[i] >> 7) & 255];
        ++histogram[1][(from[i + 1] >> 7) & 255];
      }
      for (int i = 0; i < kChunkColumns; ++i) {
        const uint32_t magnitude = from[i] & 0x7fff;
        if (magnitude != 0 && magnitude < 0x80) {  // subnormal
          int exponent = 1;
          for (uint32_t m = magnitude; (m & 0x80) == 0; m <<= 1) --exponent;
          out.least = std::min(out.least, exponent);
        }
      }
    }
    uint8_t kinds = 0;
    for (int e = 0; e < 256; ++e) {
      const auto n = static_cast<uint16_t>(histogram[0][e] + histogram[1][e]);
      if (n == 0) continue;
      // At most 255 kinds are kept by number: a record with all 256 exponents has infinities and is never coded.
      if (kinds < 255) ++kinds, out.exponents.push_back(static_cast<uint8_t>(e)), out.counts.push_back(n);
      if (e > 0 && e < 255) out.least = std::min(out.least, e), out.most = std::max(out.most, e);
      out.has_255 |= e == 255;
    }
    out.kinds.push_back(kinds);
  }
  return out;
}

void encode_dense_strip(const StripsHead& head, int32_t strip, const uint16_t* plain, std::byte* out) {
  const RecordOrder order = order_of(head);
  for (int32_t chunk = 0; chunk < order.chunks(); ++chunk) {
    std::byte* const payload = out + head.payload_at + order.index(strip, chunk) * payload_bytes(WeightCode::kDense);
    for (int lane = 0; lane < 32; ++lane) {
      uint32_t registers[16];
      gather(plain + chunk * kChunkColumns, head.columns, lane, registers);
      for (int step = 0; step < 4; ++step) std::memcpy(payload + step * 512 + lane * 16, registers + 4 * step, 16);
    }
  }
}

int64_t encode_w12_strip(const StripsHead& head, int32_t strip, const uint16_t* plain, uint32_t overflow_index,
                         std::byte* out) {
  const RecordOrder order = order_of(head);
  const int header = header_bytes(WeightCode::kW12, head.header_blocks);
  const auto in_header = static_cast<uint32_t>(escapes_in_header(head.header_blocks));
  uint32_t overflow = 0;
  std::vector<uint32_t> entries;
  for (int32_t chunk = 0; chunk < order.chunks(); ++chunk) {
    const int64_t record = order.index(strip, chunk);
    std::byte* const payload = out + head.payload_at + record * payload_bytes(WeightCode::kW12);
    entries.clear();
    for (uint32_t lane = 0; lane < 32; ++lane) {
      uint32_t registers[16], words[12];
      gather(plain + chunk * kChunkColumns, head.columns, static_cast<int>(lane), registers);
      for (uint32_t step = 0; step < 4; ++step) {
        uint32_t kept[4];
        for (uint32_t r = 0; r < 4; ++r) {
          kept[r] = 0;
          for (uint32_t half = 0; half < 2; ++half) {
            const uint32_t weight = (registers[4 * step + r] >> (16 * half)) & 0xffff;
            if (in_window(weight, head.base)) {
              kept[r] |= windowed(weight, head.base) << (16 * half);
              continue;
            }
            bool exact = true;
            const uint32_t scaled = scale_weight(weight, kDecodedExponent - head.base, exact);
            if (!exact) return -1;
            entries.push_back(escape_entry(lane, 4 * step + r, half, scaled));
          }
        }
        const StepWords packed = pack_step(kept);
        std::copy(packed.word, packed.word + 3, words + 3 * step);
      }
      for (int plane = 0; plane < 3; ++plane) std::memcpy(payload + plane * 512 + lane * 16, words + 4 * plane, 16);
    }
    if (entries.size() > 255) return -1;
    std::byte* const to = out + head.headers_at + record * header;
    std::memset(to, 0, static_cast<size_t>(header));
    if (entries.empty()) continue;
    const auto count = static_cast<uint32_t>(entries.size()), kept = std::min(count, in_header);
    const uint32_t word = count | (count > in_header ? (overflow_index + overflow) << 8 : 0);
    std::memcpy(to, &word, 4);
    std::memcpy(to + 4, entries.data(), kept * 4);
    if (count == kept) continue;
    std::memcpy(out + head.overflow_at + int64_t{overflow_index + overflow} * 4, entries.data() + kept,
                (count - kept) * 4);
    overflow += count - kept;
  }
  return overflow;
}

bool decode_strip(const StripsHead& head, int32_t strip, int32_t first, int32_t last, const std::byte* in,
                  uint16_t* plain) {
  const RecordOrder order = order_of(head);
  const auto code = static_cast<WeightCode>(head.code);
  const int shift = kDecodedExponent - head.base;
  const auto in_header = static_cast<uint32_t>(escapes_in_header(head.header_blocks));
  for (int32_t chunk = 0; chunk < order.chunks(); ++chunk) {
    const int64_t record = order.index(strip, chunk);
    const std::byte* const payload = in + head.payload_at + record * payload_bytes(code);
    uint32_t all[32][16];
    for (int lane = 0; lane < 32; ++lane) {
      if (code == WeightCode::kDense) {
        for (int step = 0; step < 4; ++step) std::memcpy(all[lane] + 4 * step, payload + step * 512 + lane * 16, 16);
        continue;
      }
      uint32_t words[12];
      for (int plane = 0; plane < 3; ++plane) std::memcpy(words + 4 * plane, payload + plane * 512 + lane * 16, 16);
      for (int step = 0; step < 4; ++step) {
        const StepRegisters r = unpack_step({{words[3 * step], words[3 * step + 1], words[3 * step + 2]}});
        std::copy(r.reg, r.reg + 4, all[lane] + 4 * step);
      }
    }
    if (code == WeightCode::kW12) {
      const std::byte* const header = in + head.headers_at + record * header_bytes(code, head.header_blocks);
      uint32_t word;
      std::memcpy(&word, header, 4);
      const uint32_t count = word & 255;
      if (count > in_header && int64_t{word >> 8} + count - in_header > head.overflow_entries) return false;
      for (uint32_t i = 0; i < count; ++i) {
        uint32_t entry;
        const std::byte* const from =
            i < in_header ? header + 4 + 4 * i : in + head.overflow_at + (int64_t{word >> 8} + i - in_header) * 4;
        std::memcpy(&entry, from, 4);
        all[escape_lane(entry)][escape_register(entry)] ^= escape_bits(entry) << (16 * escape_half(entry));
      }
      for (auto& lane : all)
        for (uint32_t& r : lane) r = unscale_weight(r & 0xffff, shift) | unscale_weight(r >> 16, shift) << 16;
    }
    for (int lane = 0; lane < 32; ++lane)
      scatter(all[lane], lane, first, last, head.columns, plain + chunk * kChunkColumns);
  }
  return true;
}

}  // namespace tare::linear_cuda
