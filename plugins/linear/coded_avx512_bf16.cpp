// linear.cpu_w12_avx512_bf16 and linear.cpu_w11_avx512_bf16: up to six rows are multiplied straight from the coded
// bytes, decoded in registers; more rows share a panel of decoded weights in the first cache. One chain of vdpbf16ps an
// output in order of K either way, as in the dense kernel.
#include "plugins/linear/coded_backend.hpp"

#if defined(__x86_64__)
#include "plugins/linear/coded_avx512.hpp"

namespace tare::linear {
namespace {

constexpr int64_t kMostRows = 6, kMostPairedRows = 2, kPanelChunks = 8;

struct Rows {
  const std::byte* x;
  int64_t stride;  // bytes
  float* sums;     // rows lie 64 apart
};

template <int kRows, bool kPatch, class Source>
TARE_CODED_INLINE void step(Source& source, int record, const std::byte* x, int64_t stride, const char* ahead,
                            __m512 (&sum)[kRows][kTiles]) {
#pragma GCC unroll 4
  for (int t = 0; t < static_cast<int>(kTiles); ++t) {
    fetch_quarter<Source>(ahead, t);
    const Lines lines = source.template lines<kPatch>(record, t);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int32_t first, second;
      std::memcpy(&first, x + r * stride + record * 8, 4);
      std::memcpy(&second, x + r * stride + record * 8 + 4, 4);
      sum[r][t] = _mm512_dpbf16_ps(sum[r][t], (__m512bh)lines.first, (__m512bh)_mm512_set1_epi32(first));
      sum[r][t] = _mm512_dpbf16_ps(sum[r][t], (__m512bh)lines.second, (__m512bh)_mm512_set1_epi32(second));
    }
  }
}

// One strip, or two neighbours in turn: two streams of memory keep more of it under way, and coded weights are so few
// bytes that one stream does not fill a core's share.
template <int kRows, int kStrips, class Source>
TARE_CODED __attribute__((noinline)) void multiply_rows(Source (&sources)[kStrips], int64_t chunks, Rows rows,
                                                        int64_t next_sums, int64_t prefetch, bool goes_on) {
  __m512 sum[kStrips][kRows][kTiles];
#pragma GCC unroll 2
  for (int s = 0; s < kStrips; ++s)
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int t = 0; t < static_cast<int>(kTiles); ++t)
        sum[s][r][t] = goes_on ? _mm512_loadu_ps(rows.sums + s * next_sums + r * kStripOutputs + t * kTileOutputs)
                               : _mm512_setzero_ps();
  for (int64_t c = 0; c < chunks; ++c, rows.x += 64) {
#pragma GCC unroll 1
    for (int record = 0; record < static_cast<int>(kRecordsPerTile); ++record) {
#pragma GCC unroll 2
      for (int s = 0; s < kStrips; ++s) {
        const char* const ahead = part_ahead(sources[s], record, prefetch);
        if (sources[s].has_escape(record)) [[unlikely]]
          step<kRows, true>(sources[s], record, rows.x, rows.stride, ahead, sum[s]);
        else
          step<kRows, false>(sources[s], record, rows.x, rows.stride, ahead, sum[s]);
      }
    }
#pragma GCC unroll 2
    for (int s = 0; s < kStrips; ++s) sources[s].next_chunk();
  }
#pragma GCC unroll 2
  for (int s = 0; s < kStrips; ++s)
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int t = 0; t < static_cast<int>(kTiles); ++t)
        _mm512_storeu_ps(rows.sums + s * next_sums + r * kStripOutputs + t * kTileOutputs, sum[s][r][t]);
}

template <class Source>
TARE_CODED void by_rows(int64_t rows, const Source& source, int64_t chunks, const Rows& at, int64_t prefetch,
                        bool goes_on) {
  Source one[] = {source};
  switch (rows) {
    case 1:
      return multiply_rows<1>(one, chunks, at, 0, prefetch, goes_on);
    case 2:
      return multiply_rows<2>(one, chunks, at, 0, prefetch, goes_on);
    case 3:
      return multiply_rows<3>(one, chunks, at, 0, prefetch, goes_on);
    case 4:
      return multiply_rows<4>(one, chunks, at, 0, prefetch, goes_on);
    case 5:
      return multiply_rows<5>(one, chunks, at, 0, prefetch, goes_on);
    default:
      return multiply_rows<6>(one, chunks, at, 0, prefetch, goes_on);
  }
}

template <class Source>
TARE_CODED void multiply_strips(const CodedMatrix& matrix, const MultiplyBlock& b) {
  const int64_t chunks = num_chunks(b.inputs), stride = b.x.row_stride * 2;
  const auto* const x = static_cast<const std::byte*>(b.x.data) + b.row_begin * stride;
  const int64_t sums_per_strip = round_up(b.rows, 16) * kStripOutputs;
  const int64_t block = panel_chunks(b.k_block, kPanelChunks);
  alignas(64) std::byte panel[kMostPanelChunks * kChunkBytes];
  for (int64_t s = 0; s < b.strips; ++s) {
    Source source(matrix, b.first_strip + s);
    float* const sums = b.sums + s * sums_per_strip;
    if (b.rows <= kMostPairedRows && s + 1 < b.strips) {
      Source two[] = {source, Source(matrix, b.first_strip + ++s)};
      const Rows at{x, stride, sums};
      if (b.rows == 1)
        multiply_rows<1>(two, chunks, at, sums_per_strip, b.prefetch, false);
      else
        multiply_rows<2>(two, chunks, at, sums_per_strip, b.prefetch, false);
      continue;
    }
    if (b.rows <= kMostRows) {
      by_rows(b.rows, source, chunks, {x, stride, sums}, b.prefetch, false);
      continue;
    }
    for (int64_t first = 0; first < chunks; first += block) {
      const int64_t count = chunks - first < block ? chunks - first : block;
      for (int64_t c = 0; c < count; ++c) decode_chunk(source, panel + c * kChunkBytes, b.prefetch);
      for (int64_t m = 0; m < b.rows; m += kMostRows) {
        const int64_t rows = b.rows - m < kMostRows ? b.rows - m : kMostRows;
        by_rows(rows, PanelSource{panel}, count, {x + m * stride + first * 64, stride, sums + m * kStripOutputs}, 0,
                first != 0);
      }
    }
  }
}

class CodedAvx512Multiplier final : public CodedMultiplier {
 public:
  using CodedMultiplier::CodedMultiplier;

 private:
  void multiply_coded(const CodedMatrix& matrix, const MultiplyBlock& block) const noexcept override {
    if (matrix.code() == Coding::split)
      multiply_strips<SplitSource>(matrix, block);
    else
      multiply_strips<TriplesSource>(matrix, block);
  }
};

class CodedAvx512Backend final : public CodedBackend {
 public:
  using CodedBackend::CodedBackend;
  Verdict supports(const Problem& problem, const LinearShape& shape) const noexcept override {
    for (const char* feature : {"avx512vbmi", "avx512_vbmi2"})
      if (!has_feature(problem, feature)) return Verdict::no("the CPU has no ", feature);
    return CodedBackend::supports(problem, shape);
  }
  CpuConfig fallback(const LinearShape&, int64_t rows) const noexcept override {
    return {.prefetch = 1536, .strips = 4, .rows = rows <= 64 ? 64 : 192, .k_block = 0};
  }
  std::vector<CpuConfig> space(const LinearShape&, int64_t rows) const override {
    std::vector<CpuConfig> out;
    if (rows <= kMostRows) {
      for (const int64_t prefetch : {0, 512, 1024, 1536, 2048, 3072, 4096, 6144})
        for (const int64_t strips : {1, 4}) out.push_back({prefetch, strips, 64, 0});
    } else {
      for (const int64_t k_block : {128, 256, 512})
        for (const int64_t block : rows <= 64 ? std::vector<int64_t>{64} : std::vector<int64_t>{96, 192})
          for (const int64_t prefetch : {1024, 4096}) out.push_back({prefetch, 4, block, k_block});
    }
    return out;
  }
  std::unique_ptr<Multiplier> multiplier(const Problem& problem, CpuTarget target) const override {
    return std::make_unique<CodedAvx512Multiplier>(layout(), dense().multiplier(problem, target));
  }
};

}  // namespace

std::shared_ptr<const CpuBackend> make_coded_avx512_bf16_backend(std::string_view layout) {
  auto dense = make_avx512_bf16_backend();
  return dense == nullptr ? nullptr : std::make_shared<CodedAvx512Backend>(layout, std::move(dense));
}

}  // namespace tare::linear
#else
namespace tare::linear {
std::shared_ptr<const CpuBackend> make_coded_avx512_bf16_backend(std::string_view) { return nullptr; }
}  // namespace tare::linear
#endif
