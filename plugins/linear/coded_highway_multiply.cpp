// Lanes are outputs, each with one chain of multiply-adds in order of K, as in the dense kernel. One row is multiplied
// straight from the bytes, of w11 by vectors of 8 numbers alone; more rows share a panel that is decoded into the first
// cache.
#include "plugins/linear/coded_highway_multiply.hpp"

#include "plugins/linear/coded_backend.hpp"
#include "plugins/linear/coded_pack.hpp"
#include "plugins/linear/expand_table.hpp"

// clang-format off
#include "plugins/linear/cpu_highway_targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "plugins/linear/coded_highway_multiply.cpp"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tare::linear {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, 16>;
using U = hn::RebindToUnsigned<F>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(F()));
constexpr int64_t kPanelChunks = 8;
constexpr int kParts = 16 / kLanes;  // vectors of a record, and of the outputs of a tile

#if HWY_TARGET != HWY_SCALAR
using B = hn::Repartition<uint8_t, F>;

// High bytes of a record, kParts vectors.
HWY_INLINE void high_bytes(const uint8_t* packed, hn::Vec<B> table, hn::Vec<B> (&high)[kParts]) {
  const B b;
  const auto nibble = hn::Set(b, uint8_t{15});
  if constexpr (kLanes == 16) {
    const hn::Half<B> h;
    const auto both = hn::Load(h, packed);
    const auto upper = hn::ShiftRight<4>(hn::BitCast(hn::RepartitionToWide<hn::Half<B>>(), both));
    high[0] = hn::TableLookupBytes(table, hn::And(hn::Combine(b, hn::BitCast(h, upper), both), nibble));
  } else {
    const hn::RepartitionToWide<B> wide;
    for (int v = 0; v < kParts / 2; ++v) {
      const auto both = hn::Load(b, packed + v * hn::MaxLanes(b));
      const auto upper = hn::BitCast(b, hn::ShiftRight<4>(hn::BitCast(wide, both)));
      high[v] = hn::TableLookupBytes(table, hn::And(both, nibble));
      high[kParts / 2 + v] = hn::TableLookupBytes(table, hn::And(upper, nibble));
    }
  }
}

// XORs the escapes of the record at hand; moves on to the next one.
HWY_NOINLINE uint32_t patch(EscapeCursor& escapes, uint32_t word, uint32_t index, uint8_t* high) {
  for (; escape_record(word) == index; word = escapes.word()) {
    high[escape_place(word)] ^= static_cast<uint8_t>(word);
    escapes.at += 4;
  }
  return word;
}

template <class Fn>
HWY_INLINE void for_record(const std::byte* chunk, int record, int tile, hn::Vec<B> table, EscapeCursor& escapes,
                           uint32_t& word, uint32_t index, const Fn& use) {
  const B b;
  const auto* const from = reinterpret_cast<const uint8_t*>(chunk);
  hn::Vec<B> high[kParts];
  high_bytes(from + split_codes_at(record, tile), table, high);
  if (HWY_UNLIKELY(escape_record(word) == index)) {
    HWY_ALIGN uint8_t copy[64];
    for (int v = 0; v < kParts; ++v) hn::Store(high[v], b, copy + v * hn::MaxLanes(b));
    word = patch(escapes, word, index, copy);
    for (int v = 0; v < kParts; ++v) high[v] = hn::Load(b, copy + v * hn::MaxLanes(b));
  }
  HWY_UNROLL(4)
  for (int v = 0; v < kParts; ++v) {
    const auto low = hn::Load(b, from + split_low_at(record, tile) + v * hn::MaxLanes(b));
    use(v, hn::InterleaveLower(b, low, high[v]), hn::InterleaveUpper(b, low, high[v]));
  }
}

// sum, and two pairs of BF16 numbers times four activations, in the order of K.
HWY_INLINE hn::Vec<F> add_pairs(hn::Vec<F> sum, hn::Vec<U> first, hn::Vec<U> second, hn::Vec<F> x0, hn::Vec<F> x1,
                                hn::Vec<F> x2, hn::Vec<F> x3) {
  const F f;
  const auto upper_half = hn::Set(U(), 0xffff0000u);
  sum = hn::MulAdd(hn::BitCast(f, hn::ShiftLeft<16>(first)), x0, sum);
  sum = hn::MulAdd(hn::BitCast(f, hn::And(first, upper_half)), x1, sum);
  sum = hn::MulAdd(hn::BitCast(f, hn::ShiftLeft<16>(second)), x2, sum);
  return hn::MulAdd(hn::BitCast(f, hn::And(second, upper_half)), x3, sum);
}

// One row, all four tiles, straight from the bytes.
void multiply_split_row(const CodedMatrix& m, int64_t strip, int64_t chunks, const float* x, int64_t prefetch,
                        float* sums) {
  const F f;
  const U u;
  const B b;
  constexpr int kVectors = 4 * kParts;
  const auto table = hn::LoadDup128(b, m.header->table);
  EscapeCursor escapes{m.escapes(strip)};
  uint32_t word = escapes.word(), index = 0;
  hn::Vec<F> sum[kVectors];
  HWY_UNROLL(16)
  for (int v = 0; v < kVectors; ++v) sum[v] = hn::Zero(f);
  const std::byte* w = m.strip(strip);
  for (int64_t c = 0; c < chunks; ++c, w += chunk_bytes(Coding::split))
    for (int record = 0; record < 8; ++record, x += 4) {
      const auto x0 = hn::Set(f, x[0]), x1 = hn::Set(f, x[1]), x2 = hn::Set(f, x[2]), x3 = hn::Set(f, x[3]);
      HWY_UNROLL(4)
      for (int t = 0; t < 4; ++t, ++index) {
        for (int line = t * 6 / 4; line < (t + 1) * 6 / 4; ++line)  // six lines a record, never in a burst
          hwy::Prefetch(w + prefetch + record * kSplitStepBytes + line * 64);
        for_record(w, record, t, table, escapes, word, index,
                   [&](int v, hn::Vec<B> first_pair, hn::Vec<B> second_pair) HWY_ATTR {
                     sum[t * kParts + v] = add_pairs(sum[t * kParts + v], hn::BitCast(u, first_pair),
                                                     hn::BitCast(u, second_pair), x0, x1, x2, x3);
                   });
      }
    }
  HWY_UNROLL(16)
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[v], f, sums + v * kLanes);
}

HWY_INLINE void decode_split(const CodedMatrix& m, const std::byte* w, uint32_t first_index, EscapeCursor& escapes,
                             uint32_t& word, std::byte* panel, int64_t prefetch) {
  const B b;
  const auto table = hn::LoadDup128(b, m.header->table);
  for (int record = 0; record < 8; ++record)
    for (int t = 0; t < 4; ++t) {
      if (prefetch != 0) HWY_UNROLL(2)
      for (int line = 0; line < 2; ++line) hwy::Prefetch(w + prefetch + (record * 4 + t) * 96 + line * 64);
      auto* const to = reinterpret_cast<uint8_t*>(panel + t * kTileBytes + record * 128);
      for_record(w, record, t, table, escapes, word, first_index + record * 4 + t,
                 [&](int v, hn::Vec<B> first, hn::Vec<B> second) HWY_ATTR {
                   hn::Store(first, b, to + v * hn::MaxLanes(b));
                   hn::Store(second, b, to + 64 + v * hn::MaxLanes(b));
                 });
    }
}

// What w11 is decoded in: one or two blocks of 16 bytes.
using D = hn::CappedTag<uint8_t, 32>;
constexpr int kBlocks = static_cast<int>(hn::MaxLanes(D())) / 16;

struct TriplesTables {
  hn::Vec<D> exponents, place;
  hn::Vec<hn::Repartition<uint32_t, D>> shift;
  HWY_INLINE explicit TriplesTables(const CodedMatrix& m) {
    const D d;
    HWY_ALIGN uint8_t table[16], places[32];
    std::memcpy(table, m.header->table, 16);
    table[0] = 0;  // the escape: its exponent is put in
    // Four codes are 12 bits: each lane of 32 bits takes the two bytes that hold its four.
    for (int lane = 0; lane < 8; ++lane)
      for (int byte = 0; byte < 4; ++byte)
        places[4 * lane + byte] = static_cast<uint8_t>(byte < 2 ? lane * 12 / 8 + byte : 0x80);
    exponents = hn::LoadDup128(d, table), place = hn::Load(d, places);
    const hn::Repartition<uint32_t, D> u;
    shift = hn::ShiftLeft<2>(hn::And(hn::Iota(u, 0), hn::Set(u, 1)));  // 0, 4, 0, 4, ..
  }
};
// Numbers with 3 bits each, a byte each.
HWY_INLINE hn::Vec<D> spread_codes(const uint8_t* at, const TriplesTables& t) {
  const D d;
  const hn::Repartition<uint32_t, D> u;
  auto x = hn::Shr(hn::BitCast(u, hn::TableLookupBytesOr0(hn::LoadDup128(d, at), t.place)), t.shift);
  x = hn::And(x, hn::Set(u, 0xfffu));
  x = hn::And(hn::Or(x, hn::ShiftLeft<10>(x)), hn::Set(u, 0x003f003fu));
  return hn::BitCast(d, hn::And(hn::Or(x, hn::ShiftLeft<5>(x)), hn::Set(u, 0x07070707u)));
}
// The next escapes of a block where its mask has bits, zeros elsewhere: the two halves' shuffles come from a table, the
// second one moved on by the first one's count.
HWY_INLINE hn::Vec<hn::Full128<uint8_t>> escape_places(uint32_t mask) {
  const hn::Full128<uint8_t> d;
  const hn::Full64<uint8_t> h;
  const auto both = hn::Combine(d, hn::Load(h, kExpand.place[mask >> 8]), hn::Load(h, kExpand.place[mask & 255]));
  return hn::Add(both, hn::Load(d, kExpand.behind[__builtin_popcount(mask & 255)]));
}
template <class Blocks>  // D: where a branch is not taken it is not compiled either
HWY_INLINE hn::Vec<Blocks> expand_escapes(uint64_t mask, EscapeCursor& escapes) {
  const hn::Full128<uint8_t> q;
  const auto take = [&](uint32_t part) HWY_ATTR {
    const auto bytes = hn::LoadU(q, reinterpret_cast<const uint8_t*>(escapes.at));
    escapes.at += __builtin_popcount(part);
    return hn::TableLookupBytesOr0(bytes, escape_places(part));
  };
  const auto first = take(static_cast<uint32_t>(mask) & 0xffff);
  if constexpr (hn::MaxLanes(Blocks()) == 16) {
    return first;
  } else {
    const auto second = take(static_cast<uint32_t>(mask >> 16) & 0xffff);
    return hn::Combine(Blocks(), second, first);
  }
}

// One record: `use(v, first pair, second pair)` for its 4 or 2 vectors.
template <class Fn>
HWY_INLINE void triples_record(const uint8_t* chunk, int record, int tile, const TriplesTables& tables,
                               EscapeCursor& escapes, const Fn& use) {
  const D d;
  const hn::RepartitionToWide<D> wide;
  const uint8_t* const packed = chunk + triples_codes_at(record, tile);
  HWY_UNROLL(4)
  for (int v = 0; v < 4 / kBlocks; ++v) {
    const auto codes = spread_codes(packed + v * 6 * kBlocks, tables);
    uint8_t bits[8] = {};
    hn::StoreMaskBits(d, hn::Eq(codes, hn::Zero(d)), bits);
    uint64_t escaped;
    std::memcpy(&escaped, bits, 8);
    const auto exponent = hn::Or(hn::TableLookupBytes(tables.exponents, codes), expand_escapes<D>(escaped, escapes));
    const auto low = hn::Load(d, chunk + triples_low_at(record, tile) + v * 16 * kBlocks);
    const auto turned = [&](hn::Vec<D> pair) HWY_ATTR {  // the sign to the top
      const auto number = hn::BitCast(wide, pair);
      return hn::BitCast(d, hn::Or(hn::ShiftRight<1>(number), hn::ShiftLeft<15>(number)));
    };
    use(v, turned(hn::InterleaveLower(d, low, exponent)), turned(hn::InterleaveUpper(d, low, exponent)));
  }
}

HWY_INLINE void decode_triples(const TriplesTables& tables, const std::byte* chunk, EscapeCursor& escapes,
                               std::byte* panel, int64_t prefetch) {
  const D d;
  const auto* const from = reinterpret_cast<const uint8_t*>(chunk);
  for (int record = 0; record < 8; ++record)
    for (int t = 0; t < 4; ++t) {
      if (prefetch != 0) HWY_UNROLL(2)
      for (int line = 0; line < 2; ++line) hwy::Prefetch(chunk + prefetch + (record * 4 + t) * 88 + line * 64);
      auto* const to = reinterpret_cast<uint8_t*>(panel + t * kTileBytes + record * 128);
      triples_record(from, record, t, tables, escapes, [&](int v, hn::Vec<D> first, hn::Vec<D> second) HWY_ATTR {
        hn::Store(first, d, to + v * 16 * kBlocks);
        hn::Store(second, d, to + 64 + v * 16 * kBlocks);
      });
    }
}

// One row straight from the bytes, where a vector of numbers is a vector of sums.
template <class Blocks>
void multiply_triples_row(const CodedMatrix& m, int64_t strip, int64_t chunks, const float* x, int64_t prefetch,
                          float* sums) {
  if constexpr (kLanes * 4 == hn::MaxLanes(Blocks())) {
    const F f;
    const U u;
    constexpr int kVectors = 4 * kParts;
    const TriplesTables tables(m);
    EscapeCursor escapes{m.escapes(strip)};
    hn::Vec<F> sum[kVectors];
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) sum[v] = hn::Zero(f);
    const std::byte* w = m.strip(strip);
    for (int64_t c = 0; c < chunks; ++c, w += chunk_bytes(Coding::triples))
      for (int record = 0; record < 8; ++record, x += 4) {
        const auto x0 = hn::Set(f, x[0]), x1 = hn::Set(f, x[1]), x2 = hn::Set(f, x[2]), x3 = hn::Set(f, x[3]);
        HWY_UNROLL(4)
        for (int t = 0; t < 4; ++t) {
          for (int line = t * 6 / 4; line < (t + 1) * 6 / 4;
               ++line)  // five and a half lines a record, never in a burst
            hwy::Prefetch(w + prefetch + record * 352 + line * 64);
          triples_record(reinterpret_cast<const uint8_t*>(w), record, t, tables, escapes,
                         [&](int v, hn::Vec<Blocks> first_pair, hn::Vec<Blocks> second_pair) HWY_ATTR {
                           sum[t * kParts + v] = add_pairs(sum[t * kParts + v], hn::BitCast(u, first_pair),
                                                           hn::BitCast(u, second_pair), x0, x1, x2, x3);
                         });
        }
      }
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[v], f, sums + v * kLanes);
  }
}

#endif  // HWY_SCALAR

// kRows rows by kTileCount tiles of a panel in the dense order; sums go on from what is there.
template <int kRows, int kTileCount>
HWY_INLINE void multiply_panel(const std::byte* w, int64_t chunks, const float* x, int64_t x_stride, bool goes_on,
                               float* sums) {
  constexpr int kVectors = kTileCount * kParts;
  const F f;
  const U u;
  hn::Vec<F> sum[kRows][kVectors];
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(16)
  for (int v = 0; v < kVectors; ++v)
    sum[r][v] = goes_on ? hn::LoadU(f, sums + r * kStripOutputs + v * kLanes) : hn::Zero(f);
  const auto upper_half = hn::Set(u, 0xffff0000u);
  for (int64_t c = 0; c < chunks; ++c, w += kChunkBytes, x += kChunkInputs)
    for (int p = 0; p < kChunkPairs; ++p) {
      HWY_UNROLL(16)
      for (int v = 0; v < kVectors; ++v) {
        const std::byte* const at = w + v / kParts * kTileBytes + p * 64 + v % kParts * kLanes * 4;
        const auto pair = hn::Load(u, reinterpret_cast<const uint32_t*>(at));
        const auto even = hn::BitCast(f, hn::ShiftLeft<16>(pair)), odd = hn::BitCast(f, hn::And(pair, upper_half));
        HWY_UNROLL(8)
        for (int r = 0; r < kRows; ++r) {
          sum[r][v] = hn::MulAdd(even, hn::Set(f, x[r * x_stride + 2 * p]), sum[r][v]);
          sum[r][v] = hn::MulAdd(odd, hn::Set(f, x[r * x_stride + 2 * p + 1]), sum[r][v]);
        }
      }
    }
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(16)
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], f, sums + r * kStripOutputs + v * kLanes);
}

constexpr int kMostRows = kLanes == 16 ? 6 : kLanes == 8 ? 5 : 2;
// All four tiles of kRows rows, or of fewer where there are fewer.
template <int kRows>
void panel_rows(int64_t rows, const std::byte* w, int64_t chunks, const float* x, int64_t x_stride, bool goes_on,
                float* sums) {
  constexpr int kTileCount = kLanes == 16                ? 4
                             : kLanes == 8 && kRows == 1 ? 4
                             : kLanes == 8 && kRows == 2 ? 2
                             : kLanes == 4 && kRows == 1 ? 2
                                                         : 1;
  if constexpr (kRows > 1) {
    if (rows < kRows) return panel_rows<kRows - 1>(rows, w, chunks, x, x_stride, goes_on, sums);
  }
  for (int t = 0; t < static_cast<int>(kTiles); t += kTileCount)
    multiply_panel<kRows, kTileCount>(w + t * kTileBytes, chunks, x, x_stride, goes_on, sums + t * kTileOutputs);
}

void multiply(const CodedMatrix& m, const MultiplyBlock& b) {
  const int64_t sums_per_strip = round_up(b.rows, 16) * kStripOutputs, chunks = num_chunks(b.inputs);
  const auto* const x = static_cast<const float*>(b.x.data) + b.row_begin * b.x.row_stride;
  const bool split = m.code() == Coding::split;
  const int64_t step = chunk_bytes(m.code()), block = panel_chunks(b.k_block, kPanelChunks);
  HWY_ALIGN std::byte panel[kMostPanelChunks * kChunkBytes];
  for (int64_t s = 0; s < b.strips; ++s) {
    float* const sums = b.sums + s * sums_per_strip;
    const int64_t strip = b.first_strip + s;
#if HWY_TARGET != HWY_SCALAR
    if (split && kLanes >= 8 && b.rows == 1) {
      multiply_split_row(m, strip, chunks, x, b.prefetch, sums);
      continue;
    }
    if (!split && kLanes == 8 && b.rows == 1) {
      multiply_triples_row<D>(m, strip, chunks, x, b.prefetch, sums);
      continue;
    }
    const TriplesTables tables(m);
#endif
    const std::byte* const w = m.strip(strip);
    EscapeCursor escapes{m.escapes(strip)};
    [[maybe_unused]] uint32_t word = split ? escapes.word() : 0;
    for (int64_t first = 0; first < chunks; first += block) {
      const int64_t count = chunks - first < block ? chunks - first : block;
      for (int64_t c = 0; c < count; ++c) {
        const std::byte* const from = w + (first + c) * step;
        std::byte* const to = panel + c * kChunkBytes;
#if HWY_TARGET == HWY_SCALAR
        auto* const dense = reinterpret_cast<uint16_t*>(to);
        if (split)
          decode_split_chunk(*m.header, from, first + c, escapes, dense);
        else
          decode_triples_chunk(*m.header, from, escapes, dense);
#else
        if (split)
          decode_split(m, from, record_index(first + c, 0, 0), escapes, word, to, b.prefetch);
        else
          decode_triples(tables, from, escapes, to, b.prefetch);
#endif
      }
      for (int64_t r = 0; r < b.rows; r += kMostRows)
        panel_rows<kMostRows>(b.rows - r, panel, count, x + r * b.x.row_stride + first * kChunkInputs, b.x.row_stride,
                              first != 0, sums + r * kStripOutputs);
    }
  }
}

CodedMultiplyFunction function() { return multiply; }

}  // namespace HWY_NAMESPACE
}  // namespace tare::linear
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tare::linear {

CodedMultiplyFunction coded_highway_function(CpuTarget target) noexcept {
  return TARE_CHOOSE_CPU_TARGET(target, function)();
}

}  // namespace tare::linear
#endif
