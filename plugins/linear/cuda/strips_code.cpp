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

namespace {

// A lane's part of a record in w12 or w11: its bytes at their places, its escapes behind those of the lanes before.
// False: a weight does not fit the code.
bool encode_lane(const StripsHead& head, uint32_t lane, const uint32_t (&registers)[16], std::byte* payload,
                 std::vector<uint32_t>& escapes) {
  const auto code = static_cast<WeightCode>(head.code);
  const bool short_code = code == WeightCode::kW11;
  uint32_t kept[16] = {};
  for (uint32_t r = 0; r < 16; ++r)
    for (uint32_t half = 0; half < 2; ++half) {
      const uint32_t weight = (registers[r] >> (16 * half)) & 0xffff;
      if (in_window(weight, head.base, window_of(code))) {
        kept[r] |= windowed(weight, head.base) << (16 * half);
        continue;
      }
      bool exact = true;
      if (short_code) {
        kept[r] |= (weight & 0x807f) << (16 * half);
        escapes.push_back(short_escape_entry(lane, r, half, short_escape_exponent(weight, head.base, exact)));
      } else {
        escapes.push_back(escape_entry(lane, r, half, scale_weight(weight, kDecodedExponent - head.base, exact)));
      }
      if (!exact) return false;
    }
  if (short_code) {
    const ShortWords packed = pack_short(kept);
    std::memcpy(payload + lane * 16, packed.low, 16);
    std::memcpy(payload + 512 + lane * 16, packed.low + 4, 16);
    std::memcpy(payload + 1024 + lane * 8, packed.high, 8);
    std::memcpy(payload + 1280 + lane * 4, packed.high + 2, 4);
    return true;
  }
  uint32_t words[12];
  for (uint32_t step = 0; step < 4; ++step) {
    const uint32_t four[4] = {kept[4 * step], kept[4 * step + 1], kept[4 * step + 2], kept[4 * step + 3]};
    const StepWords packed = pack_step(four);
    std::copy(packed.word, packed.word + 3, words + 3 * step);
  }
  for (uint32_t plane = 0; plane < 3; ++plane) std::memcpy(payload + plane * 512 + lane * 16, words + 4 * plane, 16);
  return true;
}

// The lane's registers as kernels decode them, without escapes.
void decode_lane(WeightCode code, const std::byte* payload, int lane, uint32_t (&registers)[16]) {
  if (code == WeightCode::kDense) {
    for (int step = 0; step < 4; ++step) std::memcpy(registers + 4 * step, payload + step * 512 + lane * 16, 16);
  } else if (code == WeightCode::kW12) {
    uint32_t words[12];
    for (int plane = 0; plane < 3; ++plane) std::memcpy(words + 4 * plane, payload + plane * 512 + lane * 16, 16);
    for (int step = 0; step < 4; ++step) {
      const StepRegisters r = unpack_step({{words[3 * step], words[3 * step + 1], words[3 * step + 2]}});
      std::copy(r.reg, r.reg + 4, registers + 4 * step);
    }
  } else {
    ShortWords words;
    std::memcpy(words.low, payload + lane * 16, 16);
    std::memcpy(words.low + 4, payload + 512 + lane * 16, 16);
    std::memcpy(words.high, payload + 1024 + lane * 8, 8);
    std::memcpy(words.high + 2, payload + 1280 + lane * 4, 4);
    const RecordRegisters r = unpack_short(words);
    std::copy(r.reg, r.reg + 16, registers);
  }
}

}  // namespace

int64_t encode_coded_strip(const StripsHead& head, int32_t strip, const uint16_t* plain, uint32_t overflow_index,
                           std::byte* out) {
  const RecordOrder order = order_of(head);
  const auto code = static_cast<WeightCode>(head.code);
  const int header = header_bytes(code, head.header_blocks);
  const uint32_t in_header = header_escapes(code, head.header_blocks);
  uint32_t overflow = 0;
  std::vector<uint32_t> entries;
  for (int32_t chunk = 0; chunk < order.chunks(); ++chunk) {
    const int64_t record = order.index(strip, chunk);
    std::byte* const payload = out + head.payload_at + record * payload_bytes(code);
    entries.clear();
    for (uint32_t lane = 0; lane < 32; ++lane) {
      uint32_t registers[16];
      gather(plain + chunk * kChunkColumns, head.columns, static_cast<int>(lane), registers);
      if (!encode_lane(head, lane, registers, payload, entries)) return -1;
    }
    if (entries.size() > 255) return -1;
    std::byte* const to = out + head.headers_at + record * header;
    std::memset(to, 0, static_cast<size_t>(header));
    if (entries.empty()) continue;
    const auto count = static_cast<uint32_t>(entries.size()), kept = std::min(count, in_header);
    const uint32_t word = count | (count > in_header ? (overflow_index + overflow) << 8 : 0);
    std::memcpy(to, &word, 4);
    for (uint32_t i = 0; i < kept; ++i) {
      const auto narrow = static_cast<uint16_t>(entries[i]);
      if (code == WeightCode::kW11)
        std::memcpy(to + 4 + 2 * i, &narrow, 2);
      else
        std::memcpy(to + 4 + 4 * i, &entries[i], 4);
    }
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
  const uint32_t in_header = header_escapes(code, head.header_blocks);
  for (int32_t chunk = 0; chunk < order.chunks(); ++chunk) {
    const int64_t record = order.index(strip, chunk);
    uint32_t all[32][16];
    for (int lane = 0; lane < 32; ++lane)
      decode_lane(code, in + head.payload_at + record * payload_bytes(code), lane, all[lane]);
    if (code != WeightCode::kDense) {
      const std::byte* const header = in + head.headers_at + record * header_bytes(code, head.header_blocks);
      uint32_t word;
      std::memcpy(&word, header, 4);
      const uint32_t count = word & 255;
      if (count > in_header && int64_t{word >> 8} + count - in_header > head.overflow_entries) return false;
      for (uint32_t i = 0; i < count; ++i) {
        uint32_t entry = 0;
        if (i >= in_header)
          std::memcpy(&entry, in + head.overflow_at + (int64_t{word >> 8} + i - in_header) * 4, 4);
        else if (code == WeightCode::kW11)
          std::memcpy(&entry, header + 4 + 2 * i, 2);
        else
          std::memcpy(&entry, header + 4 + 4 * i, 4);
        if (code == WeightCode::kW11)
          all[short_escape_lane(entry)][short_escape_register(entry)] ^= short_escape_bits(entry)
                                                                         << (16 * short_escape_half(entry));
        else
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
