// Tensors whose tiles have every form that loading meets.
#pragma once
#include "tests/unit/bundle/models.hpp"

namespace tare::testing {

// Matrices with ragged edges, experts, outliers, numbers of all bit patterns, and other types.
inline std::vector<MadeTensor> tensors_for_tiles() {
  Numbers numbers;
  std::string f32, f16, outliers = trained_bf16(200, 640, numbers);
  for (int i = 0; i < 130 * 70; ++i) f32 += bytes_of(static_cast<float>(numbers.normal()));
  for (int i = 0; i < 90 * 33; ++i)
    f16 += bytes_of(static_cast<uint16_t>(0x2c00 + (numbers.next() >> 40 & 0xfff) + (i % 2 ? 0x8000 : 0)));
  for (size_t i = 1; i < outliers.size(); i += 2000) outliers[i] = static_cast<char>(numbers.next());
  return {{"a.ragged", "BF16", {300, 520}, trained_bf16(300, 520, numbers)},
          {"b.experts", "BF16", {3, 100, 260}, trained_bf16(300, 260, numbers)},
          {"c.outliers", "BF16", {200, 640}, outliers},
          {"d.random", "BF16", {64, 300}, random_bytes(64 * 300 * 2, numbers)},  // stays raw
          {"e.f32", "F32", {130, 70}, f32},
          {"f.f16", "F16", {90, 33}, f16},
          {"g.zeros", "BF16", {128, 256}, std::string(128 * 256 * 2, '\0')},
          {"h.large", "BF16", {2100, 2048}, trained_bf16(2100, 2048, numbers)}};  // chunks of several MiB
}

}  // namespace tare::testing
