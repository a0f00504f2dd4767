// linear.cpu_avx512_bf16: vdpbf16ps at every M under one numerics id. A vector of the order cpu-tiles holds one pair of
// K for 16 outputs, so each output is one lane with one chain of sums in order of K, whatever M is; 64 outputs by up to
// six rows are under way at a time, which hides the latency of the chains. vdpbf16ps flushes subnormals and adds the
// pair's odd product first (Intel SDM, VDPBF16PS).
#include <cstring>

#include "plugins/linear/cpu_candidate.hpp"
#include "plugins/linear/cpu_tiles.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#define TARE_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace tare::linear {
namespace {

template <int kRows>
TARE_AVX512_BF16 void multiply_rows(const std::byte* w, int64_t chunks, const std::byte* x, int64_t x_stride_bytes,
                                    int64_t prefetch, float* sums) {
  __m512 sum[kRows][kTiles];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) sum[r][t] = _mm512_setzero_ps();
  for (int64_t c = 0; c < chunks; ++c, w += kChunkBytes, x += 64) {
#pragma GCC unroll 2
    for (int p = 0; p < kChunkPairs; ++p) {
      const std::byte* const pair = w + p * 64;
      __m512bh weights[kTiles];
#pragma GCC unroll 4
      for (int t = 0; t < kTiles; ++t) {
        weights[t] = (__m512bh)_mm512_loadu_si512(pair + t * kTileBytes);
        if (prefetch != 0) _mm_prefetch(reinterpret_cast<const char*>(pair + t * kTileBytes + prefetch), _MM_HINT_T0);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int32_t both;
        std::memcpy(&both, x + r * x_stride_bytes + p * 4, 4);
        const __m512bh value = (__m512bh)_mm512_set1_epi32(both);
#pragma GCC unroll 4
        for (int t = 0; t < kTiles; ++t) sum[r][t] = _mm512_dpbf16_ps(sum[r][t], weights[t], value);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) _mm512_storeu_ps(sums + r * kStripOutputs + t * kTileOutputs, sum[r][t]);
}

class Avx512Multiplier final : public Multiplier {
 public:
  int64_t packed_bytes(int64_t rows, int64_t inputs) const noexcept override {
    return inputs % kChunkInputs == 0 ? 0 : rows * packed_stride(rows, inputs) * 2;
  }
  bool reads_in_place(const TensorView&, int64_t inputs) const noexcept override { return inputs % kChunkInputs == 0; }
  int64_t packed_stride(int64_t, int64_t inputs) const noexcept override { return num_chunks(inputs) * kChunkInputs; }
  void pack(const TensorView& x, int64_t inputs, int64_t row_begin, int64_t row_end,
            std::byte* packed) const noexcept override {
    const int64_t stride = packed_stride(0, inputs) * 2;
    for (int64_t r = row_begin; r < row_end; ++r) {
      std::memcpy(packed + r * stride, x.row<const bf16>(r), static_cast<size_t>(inputs * 2));
      std::memset(packed + r * stride + inputs * 2, 0, static_cast<size_t>(stride - inputs * 2));
    }
  }
  void multiply(const MultiplyBlock& b) const noexcept override {
    constexpr decltype(&multiply_rows<1>) kernels[] = {multiply_rows<1>, multiply_rows<2>, multiply_rows<3>,
                                                       multiply_rows<4>, multiply_rows<5>, multiply_rows<6>};
    const int64_t chunks = num_chunks(b.inputs), stride = b.x.row_stride * 2;
    const auto* const x = static_cast<const std::byte*>(b.x.data) + b.row_begin * stride;
    const int64_t sums_per_strip = round_up(b.rows, 16) * kStripOutputs;
    for (int64_t s = 0; s < b.strips; ++s)
      for (int64_t m = 0; m < b.rows; m += 6) {
        const int64_t rows = b.rows - m < 6 ? b.rows - m : 6;
        // Once fetched, a strip stays in the second cache for the rows that follow.
        kernels[rows - 1](b.weights + s * b.strip_bytes, chunks, x + m * stride, stride, m == 0 ? b.prefetch : 0,
                          b.sums + s * sums_per_strip + m * kStripOutputs);
      }
  }
};

class Avx512Backend final : public CpuBackend {
 public:
  std::string_view id() const noexcept override { return "linear.cpu_avx512_bf16"; }
  Verdict supports(const Problem& problem, const LinearShape& shape) const noexcept override {
    for (const char* feature : {"avx512_bf16", "avx512f", "avx512bw", "avx512vl", "avx512dq"})
      if (!has_feature(problem, feature)) return Verdict::no("the CPU has no ", feature);
    if (shape.weight != DType::bf16 || shape.x != DType::bf16)
      return Verdict::no("x is ", name(shape.x), " and weights are ", name(shape.weight), ", expected bf16");
    return Verdict::yes();
  }
  std::string numerics(const Problem&) const override { return "k-seq-dpbf16"; }
  CpuConfig fallback(const LinearShape&, int64_t rows) const noexcept override {
    return {.prefetch = 4096, .strips = 4, .rows = rows <= 64 ? 64 : 192, .k_block = 0};
  }
  std::vector<CpuConfig> space(const LinearShape&, int64_t rows) const override {
    std::vector<CpuConfig> out;
    const std::vector<int64_t> blocks = rows <= 64 ? std::vector<int64_t>{64} : std::vector<int64_t>{96, 192};
    for (const int64_t prefetch : {0, 256, 512, 1024, 2048, 4096})
      for (const int64_t strips : {1, 4})
        for (const int64_t block : blocks) out.push_back({prefetch, strips, block, 0});
    return out;
  }
  std::unique_ptr<Multiplier> multiplier(const Problem&, CpuTarget) const override {
    return std::make_unique<Avx512Multiplier>();
  }
};

}  // namespace

std::shared_ptr<const CpuBackend> make_avx512_bf16_backend() { return std::make_shared<Avx512Backend>(); }

}  // namespace tare::linear
#else
namespace tare::linear {
std::shared_ptr<const CpuBackend> make_avx512_bf16_backend() { return nullptr; }
}  // namespace tare::linear
#endif
