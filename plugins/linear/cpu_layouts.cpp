#include "plugins/linear/cpu_layouts.hpp"

#include <algorithm>
#include <cstring>

#include "plugins/linear/cpu_tiles.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tare::linear {
namespace {

Status check_range(std::string_view layout, const WeightInfo& weight, int64_t row_begin, int64_t row_end) {
  if (row_begin >= 0 && row_begin <= row_end && row_end <= weight.outputs()) return {};
  return failure(Code::internal, layout, ": rows ", row_begin, " to ", row_end, " of ", weight.name, " which has ",
                 weight.outputs());
}

Verdict check_size(int64_t bytes, std::span<const std::byte> in) {
  if (static_cast<int64_t>(in.size()) == bytes) return Verdict::yes();
  return Verdict::no("it has ", in.size(), " bytes, expected ", bytes);
}

class RowsLayout final : public Layout {
 public:
  std::string_view id() const noexcept override { return kRows; }
  Verdict supports(const WeightInfo&) const noexcept override { return Verdict::yes(); }
  int64_t bytes(const WeightInfo& weight) const noexcept override { return weight.outputs() * row_bytes(weight); }
  Status encode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* plain,
                void* out) const override {
    TARE_RETURN_IF_ERROR(check_range(id(), weight, row_begin, row_end));
    const int64_t bytes = row_bytes(weight);
    if (row_end != row_begin && bytes != 0)
      std::memcpy(static_cast<std::byte*>(out) + row_begin * bytes, plain,
                  static_cast<size_t>((row_end - row_begin) * bytes));
    return {};
  }
  Status decode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* in,
                void* plain) const override {
    TARE_RETURN_IF_ERROR(check_range(id(), weight, row_begin, row_end));
    const int64_t bytes = row_bytes(weight);
    if (row_end != row_begin && bytes != 0)
      std::memcpy(plain, static_cast<const std::byte*>(in) + row_begin * bytes,
                  static_cast<size_t>((row_end - row_begin) * bytes));
    return {};
  }
  Verdict check(const WeightInfo& weight, std::span<const std::byte> in) const noexcept override {
    return check_size(bytes(weight), in);
  }

 private:
  static int64_t row_bytes(const WeightInfo& weight) noexcept { return weight.inputs() * size_of(weight.dtype); }
};

// Both element types are moved in units of 32 bits (a pair of BF16, one F32), 16 outputs by 16 units at a time: the
// transposition of a 16 x 16 block.
struct Block {
  uint32_t units[16][16];
};
void transpose(const uint32_t* in, int64_t in_stride, uint32_t* out, int64_t out_stride) noexcept {
#if defined(__SSE2__)
  for (int64_t r = 0; r < 16; r += 4)
    for (int64_t u = 0; u < 16; u += 4) {
      const auto load = [&](int64_t i) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + (r + i) * in_stride + u));
      };
      const __m128i a = load(0), b = load(1), c = load(2), d = load(3);
      const __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
      const __m128i ab2 = _mm_unpackhi_epi32(a, b), cd2 = _mm_unpackhi_epi32(c, d);
      const auto store = [&](int64_t i, __m128i v) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + (u + i) * out_stride + r), v);
      };
      store(0, _mm_unpacklo_epi64(ab, cd));
      store(1, _mm_unpackhi_epi64(ab, cd));
      store(2, _mm_unpacklo_epi64(ab2, cd2));
      store(3, _mm_unpackhi_epi64(ab2, cd2));
    }
#else
  for (int64_t r = 0; r < 16; ++r)
    for (int64_t u = 0; u < 16; ++u) std::memcpy(out + u * out_stride + r, in + r * in_stride + u, 4);
#endif
}

class CpuTilesLayout final : public Layout {
 public:
  std::string_view id() const noexcept override { return kCpuTiles; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  Verdict supports(const WeightInfo& weight) const noexcept override {
    if (weight.dtype == DType::bf16 || weight.dtype == DType::f32) return Verdict::yes();
    return Verdict::no("holds bf16 and f32, not ", name(weight.dtype));
  }
  int64_t bytes(const WeightInfo& weight) const noexcept override {
    return num_strips(weight.outputs()) * Geometry(weight).strip_bytes;
  }
  int64_t row_granule() const noexcept override { return kStripOutputs; }

  Status encode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* plain,
                void* out) const override {
    TARE_RETURN_IF_ERROR(check_range(id(), weight, row_begin, row_end));
    if (row_begin % kStripOutputs != 0 || (row_end % kStripOutputs != 0 && row_end != weight.outputs()))
      return failure(Code::internal, id(), ": rows ", row_begin, " to ", row_end, " of ", weight.name,
                     ", expected multiples of ", kStripOutputs);
    const Geometry g(weight);
    const int64_t last = row_end == weight.outputs() ? round_up(row_end, kStripOutputs) : row_end;
    const auto* const source = static_cast<const std::byte*>(plain);
    for (int64_t row = row_begin; row < last; row += kTileOutputs)
      for (int64_t group = 0; group < g.groups; ++group) {
        uint32_t* const to = g.tile(static_cast<uint32_t*>(out), row, group);
        const int64_t rows = std::clamp<int64_t>(row_end - row, 0, 16);
        const int64_t bytes = std::clamp<int64_t>(g.row_bytes - group * 64, 0, 64);
        const std::byte* const from = source + (row - row_begin) * g.row_bytes + group * 64;
        if (rows == 16 && bytes == 64 && g.row_bytes % 4 == 0 && reinterpret_cast<uintptr_t>(source) % 4 == 0) {
          transpose(reinterpret_cast<const uint32_t*>(from), g.row_bytes / 4, to, g.unit_stride);
          continue;
        }
        Block block{};
        for (int64_t r = 0; r < rows; ++r)
          std::memcpy(block.units[r], from + r * g.row_bytes, static_cast<size_t>(bytes));
        if (g.units_in(group) == 16) {
          transpose(block.units[0], 16, to, g.unit_stride);
        } else {  // F32 with K not a multiple of 16: nothing may be written past the last unit
          for (int64_t u = 0; u < g.units_in(group); ++u)
            for (int64_t r = 0; r < 16; ++r) to[u * g.unit_stride + r] = block.units[r][u];
        }
      }
    return {};
  }

  Status decode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* in,
                void* plain) const override {
    TARE_RETURN_IF_ERROR(check_range(id(), weight, row_begin, row_end));
    const Geometry g(weight);
    auto* const target = static_cast<std::byte*>(plain);
    for (int64_t row = row_begin / 16 * 16; row < row_end; row += kTileOutputs) {
      const int64_t first = std::max(row_begin, row) - row, last = std::min(row_end, row + 16) - row;
      for (int64_t group = 0; group < g.groups; ++group) {
        const uint32_t* const from = g.tile(static_cast<const uint32_t*>(in), row, group);
        const int64_t units = g.units_in(group);
        const auto bytes = static_cast<size_t>(std::clamp<int64_t>(g.row_bytes - group * 64, 0, 64));
        Block block;
        if (last - first == 16 && units == 16) {
          // [unit][output] back to [output][unit]: the same transposition
          Block tile;
          for (int64_t u = 0; u < 16; ++u) std::memcpy(tile.units[u], from + u * g.unit_stride, 64);
          transpose(tile.units[0], 16, block.units[0], 16);
        } else {
          for (int64_t u = 0; u < units; ++u)
            for (int64_t r = first; r < last; ++r) block.units[r][u] = from[u * g.unit_stride + r];
        }
        for (int64_t r = first; r < last; ++r)
          std::memcpy(target + (row + r - row_begin) * g.row_bytes + group * 64, block.units[r], bytes);
      }
    }
    return {};
  }

  // Padding is zeros: it is multiplied, and no number there may be an infinity.
  Verdict check(const WeightInfo& weight, std::span<const std::byte> in) const noexcept override {
    if (Verdict v = check_size(bytes(weight), in); !v) return v;
    const Geometry g(weight);
    const int64_t outputs = weight.outputs();
    for (int64_t row = 0; row < round_up(outputs, kStripOutputs); row += kTileOutputs) {
      const bool has_padding_rows = row + kTileOutputs > outputs;
      for (int64_t group = has_padding_rows ? 0 : std::max<int64_t>(0, g.groups - 1); group < g.groups; ++group) {
        const uint32_t* const tile = g.tile(reinterpret_cast<const uint32_t*>(in.data()), row, group);
        for (int64_t u = 0; u < g.units_in(group); ++u) {
          const int64_t valid = std::clamp<int64_t>(g.row_bytes - group * 64 - u * 4, 0, 4);
          const uint32_t numbers = valid == 4 ? 0xffffffffu : (1u << 8 * valid) - 1;
          for (int64_t r = 0; r < kTileOutputs; ++r)
            if ((tile[u * g.unit_stride + r] & ~(row + r < outputs ? numbers : 0u)) != 0)
              return Verdict::no("its padding is not zero");
        }
      }
    }
    return Verdict::yes();
  }

 private:
  struct Geometry {
    bool f32;
    int64_t row_bytes;    // of the plain matrix
    int64_t groups;       // of 16 units along K
    int64_t units;        // along K, padding included
    int64_t unit_stride;  // in units, from one unit of K to the next
    int64_t strip_bytes;
    explicit Geometry(const WeightInfo& weight) noexcept : f32(weight.dtype == DType::f32) {
      const int64_t inputs = weight.inputs();
      row_bytes = inputs * size_of(weight.dtype);
      units = f32 ? inputs : num_chunks(inputs) * kChunkPairs;
      groups = divide_up(units, 16);
      unit_stride = f32 ? kStripOutputs : kTileOutputs;
      strip_bytes = f32 ? strip_bytes_f32(inputs) : strip_bytes_bf16(inputs);
    }
    int64_t units_in(int64_t group) const noexcept { return std::min<int64_t>(16, units - group * 16); }
    // Where outputs row .. row + 15 of units 16·group .. lie.
    template <class T>
    T* tile(T* base, int64_t row, int64_t group) const noexcept {
      T* const strip = base + row / kStripOutputs * (strip_bytes / 4);
      const int64_t tile_index = row % kStripOutputs / kTileOutputs;
      return f32 ? strip + group * 16 * kStripOutputs + tile_index * kTileOutputs
                 : strip + (group * kTiles + tile_index) * (kTileBytes / 4);
    }
  };
};

}  // namespace

std::unique_ptr<Layout> make_rows_layout() { return std::make_unique<RowsLayout>(); }
std::unique_ptr<Layout> make_cpu_tiles_layout() { return std::make_unique<CpuTilesLayout>(); }

}  // namespace tare::linear
