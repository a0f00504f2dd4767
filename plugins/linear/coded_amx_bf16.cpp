// linear.cpu_w12_amx_bf16 and linear.cpu_w11_amx_bf16: one row is multiplied in registers in AMX's order
// (amx_order.hpp); for more, weights are decoded with AVX-512 into a buffer in the first cache, from which AMX
// multiplies: a chunk at a time for up to 16 rows, a panel of k_block inputs that all rows share above. Sums run in
// order of K in blocks of 32, as in the dense kernel.
#include "plugins/linear/coded_backend.hpp"

#if defined(__x86_64__)
#include "plugins/linear/amx_order.hpp"
#define TARE_CODED_AMX __attribute__((target(TARE_CODED_TARGET ",amx-tile,amx-bf16")))

namespace tare::linear {
namespace {

constexpr int64_t kPanelChunks = 8;

struct alignas(64) TileConfig {  // the operand of ldtilecfg, palette 1
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_per_row[16] = {};
  uint8_t rows[16] = {};
};
// Tiles 0-3: sums, 4-5: x, 6-7: weights.
TARE_CODED_AMX void configure(int64_t x_rows) {
  TileConfig c;
  for (int i = 0; i < 8; ++i) c.bytes_per_row[i] = 64, c.rows[i] = 16;
  for (int i = 0; i < 6; ++i) c.rows[i] = static_cast<uint8_t>(x_rows);
  _tile_loadconfig(&c);
}

// Adds one decoded chunk to the sums, which rest in tiles 0 to 3.
TARE_CODED_AMX inline void add_chunk(const std::byte* w, const std::byte* x, int64_t x_stride) {
  _tile_loadd(4, x, x_stride);
  _tile_loadd(6, w, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, w + kTileBytes, 64);
  _tile_dpbf16ps(1, 4, 7);
  _tile_loadd(6, w + 2 * kTileBytes, 64);
  _tile_dpbf16ps(2, 4, 6);
  _tile_loadd(7, w + 3 * kTileBytes, 64);
  _tile_dpbf16ps(3, 4, 7);
}
TARE_CODED_AMX inline void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}
TARE_CODED_AMX inline void load_sums(const float* sums) {
  _tile_loadd(0, sums, 256);
  _tile_loadd(1, sums + 16, 256);
  _tile_loadd(2, sums + 32, 256);
  _tile_loadd(3, sums + 48, 256);
}
TARE_CODED_AMX inline void store_sums(float* sums) {
  _tile_stored(0, sums, 256);
  _tile_stored(1, sums + 16, 256);
  _tile_stored(2, sums + 32, 256);
  _tile_stored(3, sums + 48, 256);
}

// The next chunk of each strip, in the dense order: two streams side by side keep more of the memory under way, and
// coded weights are so few bytes that one stream does not fill a core's share.
template <int kStrips, class Source>
TARE_CODED_INLINE void decode_chunks(Source (&sources)[kStrips], std::byte* out, int64_t prefetch) {
#pragma GCC unroll 1
  for (int record = 0; record < static_cast<int>(kRecordsPerTile); ++record)
#pragma GCC unroll 2
    for (int s = 0; s < kStrips; ++s) {
      const char* const ahead = part_ahead(sources[s], record, prefetch);
      std::byte* const to = out + s * kChunkBytes;
      if (sources[s].has_escape(record)) [[unlikely]]
        decode_record<true>(sources[s], record, to, ahead);
      else
        decode_record<false>(sources[s], record, to, ahead);
    }
#pragma GCC unroll 2
  for (int s = 0; s < kStrips; ++s) sources[s].next_chunk();
}

// One strip, or two whose sums take turns in the tiles. A chunk is multiplied after the next one was decoded: tile
// loads wait for the stores before them, which have left by then.
template <int kStrips, class Source>
TARE_CODED_AMX inline void multiply_strips(Source (&sources)[kStrips], int64_t chunks, const std::byte* x,
                                           int64_t x_stride, int64_t prefetch, float* sums) {
  alignas(64) std::byte buffers[2][kStrips * kChunkBytes];
  zero_sums();
  if (kStrips > 1) store_sums(sums), store_sums(sums + 16 * kStripOutputs);
  if (chunks > 0) decode_chunks(sources, buffers[0], prefetch);
  for (int64_t c = 0; c < chunks; ++c) {
    if (c + 1 < chunks) decode_chunks(sources, buffers[(c + 1) % 2], prefetch);
#pragma GCC unroll 2
    for (int s = 0; s < kStrips; ++s) {
      float* const at = sums + s * 16 * kStripOutputs;
      if (kStrips > 1) load_sums(at);
      add_chunk(buffers[c % 2] + s * kChunkBytes, x + c * 64, x_stride);
      if (kStrips > 1) store_sums(at);
    }
  }
  if (kStrips == 1) store_sums(sums);
}

template <class Source>
TARE_CODED void multiply_one(const CodedMatrix& matrix, const MultiplyBlock& b) {
  const FlushSubnormals flush;
  const int64_t chunks = num_chunks(b.inputs), x_stride = b.x.row_stride * 2;
  const auto* const x = static_cast<const std::byte*>(b.x.data);
  for (int64_t s = 0; s < b.strips; s += 2) {
    float* const sums = b.sums + s * 16 * kStripOutputs;
    if (s + 1 < b.strips) {
      Source two[] = {Source(matrix, b.first_strip + s), Source(matrix, b.first_strip + s + 1)};
      multiply_in_amx_order<1>(two, chunks, x, x_stride, b.prefetch, sums, 16 * kStripOutputs);
    } else {
      Source one[] = {Source(matrix, b.first_strip + s)};
      multiply_in_amx_order<1>(one, chunks, x, x_stride, b.prefetch, sums, 0);
    }
  }
}

template <class Source>
TARE_CODED_AMX void multiply_few(const CodedMatrix& matrix, const MultiplyBlock& b) {
  if (b.rows == 1) return multiply_one<Source>(matrix, b);
  configure(b.rows);
  const int64_t chunks = num_chunks(b.inputs), x_stride = b.x.row_stride * 2;
  const auto* const x = static_cast<const std::byte*>(b.x.data);
  for (int64_t s = 0; s < b.strips; s += 2) {
    float* const sums = b.sums + s * 16 * kStripOutputs;
    if (s + 1 < b.strips) {
      Source two[] = {Source(matrix, b.first_strip + s), Source(matrix, b.first_strip + s + 1)};
      multiply_strips(two, chunks, x, x_stride, b.prefetch, sums);
    } else {
      Source one[] = {Source(matrix, b.first_strip + s)};
      multiply_strips(one, chunks, x, x_stride, b.prefetch, sums);
    }
  }
  _tile_release();
}

// Two tiles of weights by one or two tiles of x, over `chunks` chunks of K.
template <int kRowTiles>
TARE_CODED_AMX inline void panel(const std::byte* x, int64_t x_tile_stride, const std::byte* w, int64_t chunks,
                                 bool goes_on, float* sums) {
  float* const lower = sums + 16 * kStripOutputs;
  if (goes_on) {
    _tile_loadd(0, sums, 256);
    _tile_loadd(1, sums + 16, 256);
    if constexpr (kRowTiles == 2) {
      _tile_loadd(2, lower, 256);
      _tile_loadd(3, lower + 16, 256);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kRowTiles == 2) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  for (int64_t c = 0; c < chunks; ++c, x += kTileBytes, w += kChunkBytes) {
    _tile_loadd(4, x, 64);
    _tile_loadd(6, w, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, w + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kRowTiles == 2) {
      _tile_loadd(5, x + x_tile_stride, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums, 256);
  _tile_stored(1, sums + 16, 256);
  if constexpr (kRowTiles == 2) {
    _tile_stored(2, lower, 256);
    _tile_stored(3, lower + 16, 256);
  }
}

// More than 16 rows, in tiles of 16 as the dense kernel packs them.
template <class Source>
TARE_CODED_AMX void multiply_many(const CodedMatrix& matrix, const MultiplyBlock& b) {
  configure(16);
  const int64_t chunks = num_chunks(b.inputs), x_tile_stride = chunks * kTileBytes;
  const int64_t block = panel_chunks(b.k_block, kPanelChunks);
  const int64_t rows = round_up(b.rows, 16), sums_per_strip = rows * kStripOutputs;
  const auto* const x = static_cast<const std::byte*>(b.x.data) + b.row_begin / 16 * x_tile_stride;
  alignas(64) std::byte decoded[kMostPanelChunks * kChunkBytes];
  for (int64_t s = 0; s < b.strips; ++s) {
    Source source(matrix, b.first_strip + s);
    for (int64_t first = 0; first < chunks; first += block) {
      const int64_t count = block < chunks - first ? block : chunks - first;
      for (int64_t c = 0; c < count; ++c) decode_chunk(source, decoded + c * kChunkBytes, b.prefetch);
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t m = 0; m < rows; m += 32) {
          const std::byte* const x_tiles = x + m / 16 * x_tile_stride + first * kTileBytes;
          float* const sums = b.sums + s * sums_per_strip + m * kStripOutputs + half * 32;
          if (m + 16 < rows)
            panel<2>(x_tiles, x_tile_stride, decoded + half * 2 * kTileBytes, count, first != 0, sums);
          else
            panel<1>(x_tiles, x_tile_stride, decoded + half * 2 * kTileBytes, count, first != 0, sums);
        }
    }
  }
  _tile_release();
}

class CodedAmxMultiplier final : public CodedMultiplier {
 public:
  using CodedMultiplier::CodedMultiplier;

 private:
  void multiply_coded(const CodedMatrix& matrix, const MultiplyBlock& block) const noexcept override {
    const bool few = block.x.row_stride != kPackedByRule, split = matrix.code() == Coding::split;
    constexpr decltype(&multiply_few<SplitSource>) kernels[] = {multiply_many<TriplesSource>,
                                                                multiply_many<SplitSource>, multiply_few<TriplesSource>,
                                                                multiply_few<SplitSource>};
    kernels[(few ? 2 : 0) + (split ? 1 : 0)](matrix, block);
  }
};

class CodedAmxBackend final : public CodedBackend {
 public:
  using CodedBackend::CodedBackend;
  Verdict supports(const Problem& problem, const LinearShape& shape) const noexcept override {
    for (const char* feature : {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vbmi", "avx512_vbmi2"})
      if (!has_feature(problem, feature)) return Verdict::no("the CPU has no ", feature);
    return CodedBackend::supports(problem, shape);
  }
  CpuConfig fallback(const LinearShape&, int64_t rows) const noexcept override {
    if (rows <= 64) return {.prefetch = 2048, .strips = 4, .rows = 64, .k_block = 0};
    return {.prefetch = 1024, .strips = rows < 256 ? 2 : 4, .rows = 256, .k_block = 256};
  }
  std::vector<CpuConfig> space(const LinearShape&, int64_t rows) const override {
    std::vector<CpuConfig> out;
    if (rows <= 64) {
      for (const int64_t prefetch : {0, 256, 512, 1024, 1536, 2048, 4096})
        for (const int64_t strips : {1, 4}) out.push_back({prefetch, strips, 64, 0});
    } else {
      for (const int64_t k_block : {128, 256, 512, 1024})
        for (const int64_t strips : {1, 4})
          for (const int64_t block : {128, 256}) out.push_back({1024, strips, block, k_block});
    }
    return out;
  }
  std::unique_ptr<Multiplier> multiplier(const Problem& problem, CpuTarget target) const override {
    return std::make_unique<CodedAmxMultiplier>(layout(), dense().multiplier(problem, target));
  }
};

}  // namespace

std::shared_ptr<const CpuBackend> make_coded_amx_backend(std::string_view layout) {
  auto dense = make_amx_backend();
  return dense == nullptr ? nullptr : std::make_shared<CodedAmxBackend>(layout, std::move(dense));
}

}  // namespace tare::linear
#else
namespace tare::linear {
std::shared_ptr<const CpuBackend> make_coded_amx_backend(std::string_view) { return nullptr; }
}  // namespace tare::linear
#endif
