#include "plugins/linear/coded_pack.hpp"

#include <algorithm>
#include <bit>

namespace tare::linear {
namespace {

uint8_t* bytes_at(std::byte* at) noexcept { return reinterpret_cast<uint8_t*>(at); }
const uint8_t* bytes_at(const std::byte* at) noexcept { return reinterpret_cast<const uint8_t*>(at); }

// The low and high bytes of a record, each at its place.
void separate(const uint16_t* record, uint8_t* low, uint8_t* high) noexcept {
  for (int lane = 0; lane < 4; ++lane)
    for (int half = 0; half < 2; ++half)
      for (int i = 0; i < 8; ++i) {
        const uint16_t v = record[half * 32 + lane * 8 + i];
        low[lane * 16 + half * 8 + i] = static_cast<uint8_t>(v);
        high[lane * 16 + half * 8 + i] = static_cast<uint8_t>(v >> 8);
      }
}
void interleave(const uint8_t* low, const uint8_t* high, uint16_t* record) noexcept {
  for (int lane = 0; lane < 4; ++lane)
    for (int half = 0; half < 2; ++half)
      for (int i = 0; i < 8; ++i) {
        const int place = lane * 16 + half * 8 + i;
        record[half * 32 + lane * 8 + i] = static_cast<uint16_t>(low[place] | high[place] << 8);
      }
}
uint32_t load24(const uint8_t* at) noexcept { return at[0] | at[1] << 8 | static_cast<uint32_t>(at[2]) << 16; }

}  // namespace

void count_exponents(const uint16_t* numbers, int64_t count, ExponentCounts& counts) noexcept {
  // Four tables: a run of equal exponents would wait for its own counter.
  uint32_t tables[4][256] = {};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (int t = 0; t < 4; ++t) ++tables[t][numbers[i + t] >> 7 & 255];
  for (; i < count; ++i) ++tables[0][numbers[i] >> 7 & 255];
  for (int e = 0; e < 256; ++e) counts[e] += tables[0][e] + tables[1][e] + tables[2][e] + tables[3][e];
}

CodeTable best_split(const uint64_t (&counts)[256]) noexcept {
  CodeTable out;
  out.code = Coding::split;
  uint64_t sum = 0, best = 0;
  int first = 0;
  for (int e = 0; e < 256; ++e) {
    sum += counts[e];
    if (e >= 16) sum -= counts[e - 16];
    if (e >= 15 && e % 2 == 1 && sum > best) best = sum, first = e - 15;
  }
  for (int n = 0; n < 16; ++n) out.table[n] = static_cast<uint8_t>((n & 8 ? 0x80 : 0) | (first / 2 + (n & 7)));
  for (int e = first; e < first + 16; ++e) out.holds[e] = true;
  return out;
}

CodeTable best_triples(const uint64_t (&counts)[256]) noexcept {
  CodeTable out;
  out.code = Coding::triples;
  int order[256];
  for (int e = 0; e < 256; ++e) order[e] = e;
  std::stable_sort(order, order + 256, [&](int a, int b) { return counts[a] > counts[b]; });
  for (int i = 0; i < 7; ++i) {
    out.table[i + 1] = static_cast<uint8_t>(order[i]);
    out.holds[order[i]] = true;
  }
  return out;
}

ChunkEncoder::ChunkEncoder(const CodeTable& table) : table_(table) {
  if (table_.code == Coding::triples)
    for (int c = 1; c < 8; ++c) codes_[table_.table[c]] = static_cast<uint8_t>(c);
}

void ChunkEncoder::encode(const uint16_t* dense, int64_t chunk, std::byte* out, std::vector<std::byte>& escapes) const {
  if (table_.code == Coding::split)
    split(dense, chunk, out, escapes);
  else
    triples(dense, out, escapes);
}

void ChunkEncoder::split(const uint16_t* dense, int64_t chunk, std::byte* out, std::vector<std::byte>& escapes) const {
  const uint8_t first = table_.table[0];
  for (int64_t record = 0; record < kRecordsPerTile; ++record)
    for (int64_t tile = 0; tile < kTiles; ++tile) {
      uint8_t high[64], nibble[64], outside[64], any = 0;
      separate(dense + tile * 512 + record * kRecord, bytes_at(out) + split_low_at(record, tile), high);
      for (int p = 0; p < 64; ++p) {
        const auto code = static_cast<uint8_t>((high[p] & 0x7f) - first);
        outside[p] = code > 7;
        any |= outside[p];
        nibble[p] = static_cast<uint8_t>((code & 7) | (high[p] >> 4 & 8));
      }
      uint8_t* const packed = bytes_at(out) + split_codes_at(record, tile);
      for (int p = 0; p < 32; ++p) packed[p] = static_cast<uint8_t>(nibble[p] | nibble[p + 32] << 4);
      if (any == 0) continue;
      const uint32_t index = record_index(chunk, record, tile);
      for (uint32_t p = 0; p < 64; ++p) {
        if (outside[p] == 0) continue;
        const uint32_t word = (index << 6 | p) << 8 | (high[p] ^ table_.table[nibble[p]]);
        const auto* const raw = reinterpret_cast<const std::byte*>(&word);
        escapes.insert(escapes.end(), raw, raw + 4);
      }
    }
}

void ChunkEncoder::triples(const uint16_t* dense, std::byte* out, std::vector<std::byte>& escapes) const {
  for (int64_t record = 0; record < kRecordsPerTile; ++record)
    for (int64_t tile = 0; tile < kTiles; ++tile) {
      uint16_t turned[64];  // mantissa and sign below, the exponent above
      for (int j = 0; j < 64; ++j) turned[j] = std::rotl(dense[tile * 512 + record * kRecord + j], 1);
      uint8_t exponent[64];
      separate(turned, bytes_at(out) + triples_low_at(record, tile), exponent);
      uint8_t* packed = bytes_at(out) + triples_codes_at(record, tile);
      for (int group = 0; group < 8; ++group, packed += 3) {
        uint32_t bits = 0;
        for (int i = 0; i < 8; ++i) {
          const uint8_t code = codes_[exponent[group * 8 + i]];
          bits |= static_cast<uint32_t>(code) << 3 * i;
          if (code == 0) escapes.push_back(static_cast<std::byte>(exponent[group * 8 + i]));
        }
        packed[0] = static_cast<uint8_t>(bits), packed[1] = static_cast<uint8_t>(bits >> 8);
        packed[2] = static_cast<uint8_t>(bits >> 16);
      }
    }
}

void decode_split_chunk(const CodedHeader& header, const std::byte* in, int64_t chunk, EscapeCursor& escapes,
                        uint16_t* dense) noexcept {
  for (int64_t record = 0; record < kRecordsPerTile; ++record)
    for (int64_t tile = 0; tile < kTiles; ++tile) {
      const uint8_t* const low = bytes_at(in) + split_low_at(record, tile);
      const uint8_t* const packed = bytes_at(in) + split_codes_at(record, tile);
      uint8_t high[64];
      for (int p = 0; p < 32; ++p) {
        // The table is arithmetic: so is this, for the compiler's vectors.
        const uint8_t a = packed[p] & 15, b = packed[p] >> 4;
        high[p] = static_cast<uint8_t>((a & 7) + header.table[0] + ((a & 8) << 4));
        high[p + 32] = static_cast<uint8_t>((b & 7) + header.table[0] + ((b & 8) << 4));
      }
      interleave(low, high, dense + tile * 512 + record * kRecord);
    }
  for (uint32_t word; (word = escapes.word()) >> 19 == static_cast<uint32_t>(chunk) && word != kNoEscape;
       escapes.at += 4) {
    const int64_t tile = escape_record(word) % kTiles, record = escape_step(word) % kRecordsPerTile;
    dense[tile * 512 + record * kRecord + record_number(escape_place(word))] ^=
        static_cast<uint16_t>((word & 255) << 8);
  }
}

void decode_triples_chunk(const CodedHeader& header, const std::byte* in, EscapeCursor& escapes,
                          uint16_t* dense) noexcept {
  const uint8_t* at = bytes_at(escapes.at);
  for (int64_t record = 0; record < kRecordsPerTile; ++record)
    for (int64_t tile = 0; tile < kTiles; ++tile) {
      const uint8_t* packed = bytes_at(in) + triples_codes_at(record, tile);
      uint8_t exponent[64];
      for (int group = 0; group < 8; ++group, packed += 3) {
        const uint32_t bits = load24(packed);
        for (int i = 0; i < 8; ++i) {
          const uint32_t code = bits >> 3 * i & 7;
          exponent[group * 8 + i] = code != 0 ? header.table[code] : *at;
          at += code == 0;
        }
      }
      uint16_t* const to = dense + tile * 512 + record * kRecord;
      interleave(bytes_at(in) + triples_low_at(record, tile), exponent, to);
      for (int j = 0; j < 64; ++j) to[j] = static_cast<uint16_t>(to[j] >> 1 | to[j] << 15);
    }
  escapes.at = reinterpret_cast<const std::byte*>(at);
}

int count_triple_escapes(const std::byte* triples) noexcept {
  int count = 0;
  for (int part = 0; part < 4; ++part) {  // 16 codes in 48 bits
    uint64_t bits = 0;
    std::memcpy(&bits, triples + 6 * part, 6);
    bits |= bits >> 1 | bits >> 2;
    count += std::popcount(~bits & 0x249249249249u);
  }
  return count;
}

}  // namespace tare::linear
