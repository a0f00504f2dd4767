// Stored element types and their conversion to BF16 and F32. Every conversion rounds at most once, to nearest even. A
// Q4_1 value d * q + m is computed exactly before it is rounded. [any thread]
//
// Block formats are those of ggml (ggml-common.h, ggml-quants.c of ggml-org/llama.cpp): blocks of 32 elements of a row,
// an F16 scale d first:
//   Q8_0  d, 32 signed bytes q                     d * q
//   Q4_0  d, 16 bytes                              d * (q - 8)      low nibbles are elements 0 to 15,
//   Q4_1  d, F16 m, 16 bytes                       d * q + m        high nibbles elements 16 to 31
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/api/dtype.hpp"
#include "core/api/status.hpp"

namespace tare {

enum class Storage : uint8_t { bf16, f16, f32, i32, i64, u8, q8_0, q4_0, q4_1 };
struct StorageTraits {
  std::string_view name;
  DType presented;                      // the type that it is presented in
  int32_t block_elements, block_bytes;  // 1 and the element's size for plain types
};
const StorageTraits& traits(Storage storage) noexcept;
constexpr bool is_quantised(Storage storage) noexcept { return storage >= Storage::q8_0; }
Storage storage_of(DType dtype) noexcept;
// Of safetensors' words for types those that we read: BF16, F16, F32, I32, I64, U8.
std::optional<Storage> storage_named(std::string_view dtype);

// `elements` of them, a multiple of the block, from `in` to `out` as `as` (BF16, F32 or the presented type itself).
// `in` and `out` must not overlap; neither needs to be aligned. `added`: is taken off every element before it is
// rounded (Gemma's norms in GGUF); plain floating types only.
Status convert(Storage storage, std::span<const std::byte> in, DType as, std::span<std::byte> out, float added = 0);

}  // namespace tare
