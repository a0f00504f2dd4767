// Keys of a block, turned so that lanes are keys: [unit of d][64 keys], a unit being a pair of BF16 or one F32. A null
// key is written as zeros. [any thread]
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/api/dtype.hpp"
#include "plugins/attention/block.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tare::attention {

inline void pack_keys(const std::byte* const (&keys)[kBlockKeys], DType dtype, int64_t d, uint32_t* out) noexcept {
  alignas(16) static constexpr uint32_t kZeros[4] = {};
  const int64_t bytes = d * size_of(dtype), units = bytes / 4;
  for (int64_t key = 0; key < kBlockKeys; key += 4) {
    int64_t u = 0;
#if defined(__SSE2__)
    for (; u + 4 <= units; u += 4) {
      const auto load = [&](int64_t i) {
        const std::byte* const from = keys[key + i];
        return _mm_loadu_si128(from == nullptr ? reinterpret_cast<const __m128i*>(kZeros)
                                               : reinterpret_cast<const __m128i*>(from + u * 4));
      };
      const __m128i a = load(0), b = load(1), c = load(2), e = load(3);
      const __m128i ab = _mm_unpacklo_epi32(a, b), ce = _mm_unpacklo_epi32(c, e);
      const __m128i ab2 = _mm_unpackhi_epi32(a, b), ce2 = _mm_unpackhi_epi32(c, e);
      const auto store = [&](int64_t i, __m128i v) {
        _mm_store_si128(reinterpret_cast<__m128i*>(out + (u + i) * kBlockKeys + key), v);
      };
      store(0, _mm_unpacklo_epi64(ab, ce));
      store(1, _mm_unpackhi_epi64(ab, ce));
      store(2, _mm_unpacklo_epi64(ab2, ce2));
      store(3, _mm_unpackhi_epi64(ab2, ce2));
    }
#endif
    for (; u * 4 < bytes; ++u)
      for (int64_t i = 0; i < 4; ++i) {
        uint32_t unit = 0;
        const int64_t left = bytes - u * 4;
        if (keys[key + i] != nullptr)
          std::memcpy(&unit, keys[key + i] + u * 4, static_cast<size_t>(left < 4 ? left : 4));
        out[u * kBlockKeys + key + i] = unit;
      }
  }
}

}  // namespace tare::attention
