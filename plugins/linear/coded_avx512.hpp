// The codes of coded.hpp decoded with AVX-512 (BW, VBMI, VBMI2) in registers: 64 numbers at a time, two pairs of K for
// 16 outputs. Shared by the AVX512-BF16 and the AMX kernels. Included only by files that are for x86-64; every function
// carries its instruction set. Each source walks one strip, [thread of its own].
#pragma once
#include <immintrin.h>

#include "plugins/linear/coded.hpp"

#define TARE_CODED_TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx512bf16,bmi2,popcnt"
#define TARE_CODED __attribute__((target(TARE_CODED_TARGET)))
#define TARE_CODED_INLINE TARE_CODED __attribute__((always_inline)) inline

namespace tare::linear {

// Pairs 2i and 2i + 1 of a tile: [16 outputs][2].
struct Lines {
  __m512i first, second;
};

// A panel that was decoded before, in the dense order.
struct PanelSource {
  static constexpr int64_t kBytes = kChunkBytes;
  const std::byte* at;
  TARE_CODED_INLINE bool has_escape(int) const { return false; }
  template <bool kPatch>
  TARE_CODED_INLINE Lines lines(int record, int tile) {
    const std::byte* const line = at + tile * kTileBytes + record * 128;
    return {_mm512_loadu_si512(line), _mm512_loadu_si512(line + 64)};
  }
  TARE_CODED_INLINE void next_chunk() { at += kBytes; }
};

struct SplitSource {
  static constexpr int64_t kBytes = chunk_bytes(Coding::split);
  const std::byte* at;
  EscapeCursor escapes;
  uint32_t word;
  uint32_t step;  // chunk times 8
  __m512i table, nibble, shift;
  TARE_CODED_INLINE SplitSource(const CodedMatrix& m, int64_t strip)
      : at(m.strip(strip)), escapes{m.escapes(strip)}, word(escapes.word()), step(0) {
    table = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(m.header->table)));
    nibble = _mm512_set1_epi8(15);
    shift = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1);
  }
  // Has one of the four records of this step one?
  TARE_CODED_INLINE bool has_escape(int record) const {
    return escape_step(word) == step + static_cast<uint32_t>(record);
  }
  template <bool kPatch>
  TARE_CODED_INLINE Lines lines(int record, int tile) {
    const __m512i low = _mm512_loadu_si512(at + split_low_at(record, tile));
    const __m256i packed = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + split_codes_at(record, tile)));
    const __m512i codes = _mm512_and_si512(_mm512_srlv_epi16(_mm512_broadcast_i64x4(packed), shift), nibble);
    __m512i high = _mm512_shuffle_epi8(table, codes);
    if constexpr (kPatch) {
      const uint32_t index = (step + static_cast<uint32_t>(record)) * kTiles + static_cast<uint32_t>(tile);
      while (escape_record(word) == index) {
        high = _mm512_xor_si512(high, _mm512_maskz_set1_epi8(_cvtu64_mask64(uint64_t{1} << escape_place(word)),
                                                             static_cast<char>(word & 255)));
        escapes.at += 4;
        word = escapes.word();
      }
    }
    return {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
  }
  TARE_CODED_INLINE void next_chunk() { at += kBytes, step += kRecordsPerTile; }
};

struct TriplesSource {
  static constexpr int64_t kBytes = chunk_bytes(Coding::triples);
  const std::byte* at;
  EscapeCursor escapes;
  __m512i table, spread, shift, code;
  TARE_CODED_INLINE TriplesSource(const CodedMatrix& m, int64_t strip) : at(m.strip(strip)), escapes{m.escapes(strip)} {
    // vpermb looks at 6 bits of an index, so the table of 8 is there eight times.
    table = _mm512_broadcast_i64x2(_mm_loadu_si128(reinterpret_cast<const __m128i*>(m.header->table)));
    table = _mm512_unpacklo_epi64(table, table);
    alignas(64) uint8_t place[64];
    for (int i = 0; i < 64; ++i) place[i] = static_cast<uint8_t>(i / 8 * 3 + (i % 8 < 3 ? i % 8 : 0));
    spread = _mm512_load_si512(place);
    shift = _mm512_set1_epi64(0x15120f0c09060300);  // 3 bits a number
    code = _mm512_set1_epi8(7);
  }
  TARE_CODED_INLINE bool has_escape(int) const { return false; }  // nearly every record has one
  template <bool kPatch>
  TARE_CODED_INLINE Lines lines(int record, int tile) {
    const __m512i low = _mm512_loadu_si512(at + triples_low_at(record, tile));
    const __m512i packed = _mm512_castsi256_si512(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + triples_codes_at(record, tile))));
    const __m512i codes = _mm512_multishift_epi64_epi8(shift, _mm512_permutexvar_epi8(spread, packed));
    const __mmask64 escaped = _mm512_testn_epi8_mask(codes, code);
    const __m512i known = _mm512_permutexvar_epi8(codes, table);
    const __m512i exponent = _mm512_mask_expand_epi8(known, escaped, _mm512_loadu_si512(escapes.at));
    escapes.at += _mm_popcnt_u64(_cvtmask64_u64(escaped));
    const __m512i first = _mm512_unpacklo_epi8(low, exponent), second = _mm512_unpackhi_epi8(low, exponent);
    return {_mm512_shrdi_epi16(first, first, 1), _mm512_shrdi_epi16(second, second, 1)};
  }
  TARE_CODED_INLINE void next_chunk() { at += kBytes; }
};

// What comes later, a chunk in eight parts of four quarters: one quarter between two tiles, never a burst, since a core
// has few lines under way at a time. Distance 0 touches what is read anyway.
template <class Source>
TARE_CODED_INLINE const char* part_ahead(const Source& source, int part, int64_t prefetch) {
  return reinterpret_cast<const char*>(source.at) + prefetch + part * (Source::kBytes / kRecordsPerTile);
}
template <class Source>
TARE_CODED_INLINE void fetch_quarter(const char* ahead, int quarter) {
  constexpr int kLines = static_cast<int>(divide_up(Source::kBytes / kRecordsPerTile, 64));
#pragma GCC unroll 4
  for (int line = quarter * kLines / 4; line < (quarter + 1) * kLines / 4; ++line)
    _mm_prefetch(ahead + line * 64, _MM_HINT_T0);
}

template <bool kPatch, class Source>
TARE_CODED_INLINE void decode_record(Source& source, int record, std::byte* out, const char* ahead) {
#pragma GCC unroll 4
  for (int tile = 0; tile < static_cast<int>(kTiles); ++tile) {
    fetch_quarter<Source>(ahead, tile);
    const Lines lines = source.template lines<kPatch>(record, tile);
    _mm512_storeu_si512(out + tile * kTileBytes + record * 128, lines.first);
    _mm512_storeu_si512(out + tile * kTileBytes + record * 128 + 64, lines.second);
  }
}
// The next chunk in the dense order, 4 KiB.
template <class Source>
TARE_CODED_INLINE void decode_chunk(Source& source, std::byte* out, int64_t prefetch) {
#pragma GCC unroll 1
  for (int record = 0; record < static_cast<int>(kRecordsPerTile); ++record) {
    const char* const ahead = part_ahead(source, record, prefetch);
    if (source.has_escape(record)) [[unlikely]]
      decode_record<true>(source, record, out, ahead);
    else
      decode_record<false>(source, record, out, ahead);
  }
  source.next_chunk();
}

}  // namespace tare::linear
