// linear.cpu_amx_bf16: one numerics id at every M: one row by multiply-adds in AMX's order (amx_order.hpp), more by AMX
// tiles. Rows of x are the A tile (as many tile rows as there
// are rows of x, so that M = 1 costs little), weights the B tile as they lie. Sums run in order of K in blocks of 32;
// in a block the hardware adds even and odd K apart, unlike vdpbf16ps: never one id with it. (Intel, Architecture
// Instruction Set Extensions Programming Reference, TDPBF16PS.)
//
// Functions carry their instruction set as an attribute: a flag for the whole file would let the linker pick our copies
// of inline library functions for every CPU.
#include <cstring>

#include "plugins/linear/cpu_candidate.hpp"
#include "plugins/linear/cpu_tiles.hpp"

#if defined(__x86_64__)
#include "plugins/linear/amx_order.hpp"
#define TARE_AMX __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,amx-tile,amx-bf16")))

namespace tare::linear {
namespace {

struct alignas(64) TileConfig {  // the operand of ldtilecfg, palette 1
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_per_row[16] = {};
  uint8_t rows[16] = {};
};
// Tiles 0-3: sums, 4-5: x, 6-7: weights.
TARE_AMX void configure(int64_t sum_rows, int64_t x_rows, int64_t second_x_rows) {
  TileConfig c;
  for (int i = 0; i < 8; ++i) c.bytes_per_row[i] = 64, c.rows[i] = 16;
  for (int i = 0; i < 4; ++i) c.rows[i] = static_cast<uint8_t>(sum_rows);
  c.rows[4] = static_cast<uint8_t>(x_rows), c.rows[5] = static_cast<uint8_t>(second_x_rows);
  _tile_loadconfig(&c);
}

// What comes later, into the second cache. A quarter between two tiles, not all in one burst: a core has few lines
// under way at a time (1.05 times the rate at M = 1). Always inlined: a function that only prefetches counts as one
// without effects and would be dropped.
TARE_AMX __attribute__((always_inline)) inline void fetch(const char* ahead, int64_t bytes, int quarter) {
  const int64_t part = bytes / 4;
  for (int64_t line = 0; line < part; line += 64) _mm_prefetch(ahead + quarter * part + line, _MM_HINT_T1);
}

TARE_CODED void multiply_one(const MultiplyBlock& b) {
  const FlushSubnormals flush;
  for (int64_t s = 0; s < b.strips; ++s) {
    PanelSource one[] = {{b.weights + s * b.strip_bytes}};
    multiply_in_amx_order<1>(one, num_chunks(b.inputs), static_cast<const std::byte*>(b.x.data), 0, b.prefetch,
                             b.sums + s * 16 * kStripOutputs, 0);
  }
}

// At most 16 rows: a stream through the weights, four tiles a chunk.
TARE_AMX void multiply_few(const MultiplyBlock& b) {
  if (b.rows == 1) return multiply_one(b);
  configure(b.rows, b.rows, b.rows);
  const int64_t chunks = num_chunks(b.inputs), x_stride = b.x.row_stride * 2;
  const int64_t ahead_bytes = b.prefetch == 0 ? 0 : kChunkBytes;
  const auto* const x = static_cast<const std::byte*>(b.x.data);
  for (int64_t s = 0; s < b.strips; ++s) {
    const std::byte* w = b.weights + s * b.strip_bytes;
    float* const sums = b.sums + s * 16 * kStripOutputs;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t c = 0; c < chunks; ++c, w += kChunkBytes) {
      const char* const ahead = reinterpret_cast<const char*>(w + b.prefetch);
      fetch(ahead, ahead_bytes, 0);
      _tile_loadd(4, x + c * 64, x_stride);
      _tile_loadd(6, w, 64);
      _tile_dpbf16ps(0, 4, 6);
      fetch(ahead, ahead_bytes, 1);
      _tile_loadd(7, w + kTileBytes, 64);
      _tile_dpbf16ps(1, 4, 7);
      fetch(ahead, ahead_bytes, 2);
      _tile_loadd(6, w + 2 * kTileBytes, 64);
      _tile_dpbf16ps(2, 4, 6);
      fetch(ahead, ahead_bytes, 3);
      _tile_loadd(7, w + 3 * kTileBytes, 64);
      _tile_dpbf16ps(3, 4, 7);
    }
    _tile_stored(0, sums, 256);
    _tile_stored(1, sums + 16, 256);
    _tile_stored(2, sums + 32, 256);
    _tile_stored(3, sums + 48, 256);
  }
  _tile_release();
}

// Two tiles of weights by one or two tiles of x, over `chunks` chunks of K. `ahead` walks over the next panel.
template <int kRowTiles>
TARE_AMX inline void panel(const std::byte* x, int64_t x_tile_stride, const std::byte* w, int64_t chunks, bool goes_on,
                           float* sums, const char* ahead, int64_t ahead_step) {
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
  for (int64_t c = 0; c < chunks; ++c) {
    fetch(ahead, ahead_step, 0);
    _tile_loadd(4, x, 64);
    _tile_loadd(6, w, 64);
    _tile_dpbf16ps(0, 4, 6);
    fetch(ahead, ahead_step, 1);
    _tile_loadd(7, w + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    fetch(ahead, ahead_step, 2);
    if constexpr (kRowTiles == 2) {
      _tile_loadd(5, x + x_tile_stride, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    fetch(ahead, ahead_step, 3);
    ahead += ahead_step;
    x += kTileBytes, w += kChunkBytes;
  }
  _tile_stored(0, sums, 256);
  _tile_stored(1, sums + 16, 256);
  if constexpr (kRowTiles == 2) {
    _tile_stored(2, lower, 256);
    _tile_stored(3, lower + 16, 256);
  }
}

// More than 16 rows, in tiles of 16 (pack): a panel of k_block x 32 outputs serves all rows from the first cache, while
// the next panel is on its way. Sums go on in F32 from one panel to the next, so blocking changes no bit.
TARE_AMX void multiply_many(const MultiplyBlock& b) {
  configure(16, 16, 16);
  const int64_t chunks = num_chunks(b.inputs), x_tile_stride = chunks * kTileBytes;
  const int64_t chunks_per_block = b.k_block == 0 ? chunks : b.k_block / kChunkInputs;
  const int64_t rows = round_up(b.rows, 16), sums_per_strip = rows * kStripOutputs;
  const auto* const x = static_cast<const std::byte*>(b.x.data) + b.row_begin / 16 * x_tile_stride;
  const int64_t row_steps = divide_up(rows, 32);
  const int64_t ahead_step = b.prefetch == 0 ? 0 : divide_up(kChunkBytes / 2, row_steps * 256) * 256;
  for (int64_t first = 0; first < chunks; first += chunks_per_block) {
    const int64_t count = chunks_per_block < chunks - first ? chunks_per_block : chunks - first;
    for (int64_t s = 0; s < b.strips; ++s) {
      const std::byte* const w = b.weights + s * b.strip_bytes + first * kChunkBytes;
      // Few rows: the stream itself, `prefetch` bytes on; else the next panel in the order of this loop.
      const std::byte* const next = row_steps <= 2           ? w + b.prefetch
                                    : s + 1 < b.strips       ? w + b.strip_bytes
                                    : first + count < chunks ? b.weights + (first + count) * kChunkBytes
                                                             : b.weights + b.strips * b.strip_bytes;
      const char* ahead = reinterpret_cast<const char*>(next);
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t m = 0; m < rows; m += 32) {
          const std::byte* const x_tiles = x + m / 16 * x_tile_stride + first * kTileBytes;
          float* const sums = b.sums + s * sums_per_strip + m * kStripOutputs + half * 32;
          const int64_t step =
              row_steps <= 2 ? (half == 0 && m == 0 ? (b.prefetch == 0 ? 0 : kChunkBytes) : 0) : ahead_step;
          if (m + 16 < rows)
            panel<2>(x_tiles, x_tile_stride, w + half * 2 * kTileBytes, count, first != 0, sums, ahead, step);
          else
            panel<1>(x_tiles, x_tile_stride, w + half * 2 * kTileBytes, count, first != 0, sums, ahead, step);
          ahead += step * count;
        }
    }
  }
  _tile_release();
}

class AmxMultiplier final : public Multiplier {
 public:
  int64_t packed_bytes(int64_t rows, int64_t inputs) const noexcept override {
    return round_up(rows, 16) * num_chunks(inputs) * kChunkInputs * 2;
  }
  bool reads_in_place(const TensorView& x, int64_t inputs) const noexcept override {
    return x.rows() <= 16 && inputs % kChunkInputs == 0;
  }
  int64_t packed_stride(int64_t rows, int64_t inputs) const noexcept override {
    return rows <= 16 ? num_chunks(inputs) * kChunkInputs : kPackedByRule;
  }
  void pack(const TensorView& x, int64_t inputs, int64_t row_begin, int64_t row_end,
            std::byte* packed) const noexcept override {
    const int64_t chunks = num_chunks(inputs), row_bytes = inputs * 2;
    const bool tiles = packed_stride(x.rows(), inputs) == kPackedByRule;
    for (int64_t r = row_begin; r < (tiles ? round_up(row_end, 16) : row_end); ++r) {
      std::byte* to = packed + (tiles ? r / 16 * chunks * kTileBytes + r % 16 * 64 : r * chunks * 64);
      const int64_t step = tiles ? kTileBytes : 64;
      for (int64_t c = 0; c < chunks; ++c, to += step) {
        const int64_t bytes = r >= row_end ? 0 : row_bytes - c * 64 < 64 ? row_bytes - c * 64 : 64;
        if (bytes == 64) {
          std::memcpy(to, reinterpret_cast<const std::byte*>(x.row<const bf16>(r)) + c * 64, 64);
        } else {
          std::memset(to, 0, 64);
          if (bytes > 0)
            std::memcpy(to, reinterpret_cast<const std::byte*>(x.row<const bf16>(r)) + c * 64,
                        static_cast<size_t>(bytes));
        }
      }
    }
  }
  int64_t row_granule() const noexcept override { return 32; }
  void multiply(const MultiplyBlock& block) const noexcept override {
    if (block.x.row_stride != kPackedByRule)
      multiply_few(block);
    else
      multiply_many(block);
  }
};

class AmxBackend final : public CpuBackend {
 public:
  std::string_view id() const noexcept override { return "linear.cpu_amx_bf16"; }
  Verdict supports(const Problem& problem, const LinearShape& shape) const noexcept override {
    if (!has_feature(problem, "amx_bf16")) return Verdict::no("the CPU has no AMX-BF16");
    if (shape.weight != DType::bf16 || shape.x != DType::bf16)
      return Verdict::no("x is ", name(shape.x), " and weights are ", name(shape.weight), ", expected bf16");
    return Verdict::yes();
  }
  std::string numerics(const Problem&) const override { return "k-seq-amx"; }
  CpuConfig fallback(const LinearShape&, int64_t rows) const noexcept override {
    if (rows <= 64) return {.prefetch = rows == 1 ? 2048 : 1024, .strips = 4, .rows = 64, .k_block = 0};
    return {.prefetch = 1024, .strips = rows < 256 ? 2 : 4, .rows = 256, .k_block = 256};
  }
  std::vector<CpuConfig> space(const LinearShape&, int64_t rows) const override {
    std::vector<CpuConfig> out;
    if (rows <= 64) {
      for (const int64_t prefetch : {0, 256, 512, 1024, 2048, 4096})
        for (const int64_t strips : {1, 4}) out.push_back({prefetch, strips, 64, 0});
    } else {
      for (const int64_t k_block : {0, 128, 256, 512, 1024})
        for (const int64_t strips : {1, 2, 4})
          for (const int64_t block : {128, 256}) out.push_back({1024, strips, block, k_block});
      out.push_back({0, 4, 256, 256});
    }
    return out;
  }
  std::unique_ptr<Multiplier> multiplier(const Problem&, CpuTarget) const override {
    return std::make_unique<AmxMultiplier>();
  }
};

}  // namespace

std::shared_ptr<const CpuBackend> make_amx_backend() { return std::make_shared<AmxBackend>(); }

}  // namespace tare::linear
#else
namespace tare::linear {
std::shared_ptr<const CpuBackend> make_amx_backend() { return nullptr; }
}  // namespace tare::linear
#endif
