#include "core/bundle/convert.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace tare {
namespace {

template <class T>
T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void store(std::byte* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

// The same as to_float(f16), without branches so that loops vectorise. Infinities and NaN included; no step has a
// subnormal float as input, so that a thread which flushes them still gets these right.
inline float half_to_float(uint16_t half) noexcept {
  const uint32_t magnitude = half & 0x7fffu, sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t small = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t normal = (magnitude << 13) + (112u << 23), special = (magnitude << 13) | 0x7f800000u;
  const uint32_t bits = magnitude < 0x400u ? small : magnitude < 0x7c00u ? normal : special;
  return std::bit_cast<float>(sign | bits);
}
inline uint16_t round_to_bf16(float value) noexcept {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t nan = (bits >> 16) | 0x40u, rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}
// One rounding of an exact double whose magnitude is 0 or within BF16's normal range, or that is not finite.
inline uint16_t round_to_bf16(double value) noexcept {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const uint32_t sign = static_cast<uint32_t>(bits >> 63) << 15;
  const uint64_t magnitude = bits & 0x7fffffffffffffffu;
  if (magnitude == 0) return static_cast<uint16_t>(sign);
  if (magnitude >= 0x7ff0000000000000u)
    return static_cast<uint16_t>(sign | (magnitude > 0x7ff0000000000000u ? 0x7fc0 : 0x7f80));
  const uint64_t rounded = magnitude + ((uint64_t{1} << 44) - 1) + ((magnitude >> 45) & 1u);
  return static_cast<uint16_t>(sign | static_cast<uint32_t>((rounded >> 45) - (uint64_t{1023 - 127} << 7)));
}

struct ToF32 {
  static constexpr size_t kBytes = 4;
  static void put(std::byte* to, float value) noexcept { store(to, value); }
};
struct ToBf16 {
  static constexpr size_t kBytes = 2;
  static void put(std::byte* to, float value) noexcept { store(to, round_to_bf16(value)); }
};
struct FromBf16 {
  static constexpr size_t kBytes = 2;
  static float get(const std::byte* from) noexcept {
    return std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(from)) << 16);
  }
};
struct FromF16 {
  static constexpr size_t kBytes = 2;
  static float get(const std::byte* from) noexcept { return half_to_float(load<uint16_t>(from)); }
};
struct FromF32 {
  static constexpr size_t kBytes = 4;
  static float get(const std::byte* from) noexcept { return load<float>(from); }
};

template <class From, class To>
void convert_plain(const std::byte* in, std::byte* out, size_t count, float added) noexcept {
  if (added != 0)
    for (size_t i = 0; i < count; ++i) To::put(out + i * To::kBytes, From::get(in + i * From::kBytes) - added);
  else
    for (size_t i = 0; i < count; ++i) To::put(out + i * To::kBytes, From::get(in + i * From::kBytes));
}

// d * q has at most 11 + 8 significant bits: exact in F32, so that the only rounding is To's.
template <class To>
void expand_q8_0(const std::byte* in, std::byte* out, size_t blocks) noexcept {
  for (size_t b = 0; b < blocks; ++b, in += 34, out += 32 * To::kBytes) {
    const float d = half_to_float(load<uint16_t>(in));
    for (size_t i = 0; i < 32; ++i)
      To::put(out + i * To::kBytes, d * static_cast<float>(static_cast<int8_t>(in[2 + i])));
  }
}

// A block has 16 possible values, so they are computed once and looked up.
template <class T, size_t kHeader, class Table>
void expand_nibbles(const std::byte* in, std::byte* out, size_t blocks, const Table& table) noexcept {
  for (size_t b = 0; b < blocks; ++b, in += kHeader + 16, out += 32 * sizeof(T)) {
    std::array<T, 16> values;
    table(in, values);
    for (size_t i = 0; i < 16; ++i) {
      const auto byte = static_cast<uint8_t>(in[kHeader + i]);
      store(out + i * sizeof(T), values[byte & 15]);
      store(out + (16 + i) * sizeof(T), values[byte >> 4]);
    }
  }
}
void expand_q4_0(const std::byte* in, std::byte* out, size_t blocks, DType as) noexcept {
  const auto table = [](const std::byte* block, auto& values) {
    const float d = half_to_float(load<uint16_t>(block));
    for (int q = 0; q < 16; ++q) {
      const float value = d * static_cast<float>(q - 8);  // exact: 11 + 4 bits
      if constexpr (sizeof values[0] == 4)
        values[static_cast<size_t>(q)] = value;
      else
        values[static_cast<size_t>(q)] = round_to_bf16(value);
    }
  };
  if (as == DType::f32)
    expand_nibbles<float, 2>(in, out, blocks, table);
  else
    expand_nibbles<uint16_t, 2>(in, out, blocks, table);
}
void expand_q4_1(const std::byte* in, std::byte* out, size_t blocks, DType as) noexcept {
  const auto table = [](const std::byte* block, auto& values) {
    // Both terms are multiples of 2^-24 below 2^20: their sum is exact in a double, and may not be in an F32.
    const double d = static_cast<double>(half_to_float(load<uint16_t>(block)));
    const double m = static_cast<double>(half_to_float(load<uint16_t>(block + 2)));
    for (int q = 0; q < 16; ++q) {
      const double value = d * q + m;
      if constexpr (sizeof values[0] == 4)
        values[static_cast<size_t>(q)] = static_cast<float>(value);
      else
        values[static_cast<size_t>(q)] = round_to_bf16(value);
    }
  };
  if (as == DType::f32)
    expand_nibbles<float, 4>(in, out, blocks, table);
  else
    expand_nibbles<uint16_t, 4>(in, out, blocks, table);
}

template <class From>
void convert_from(const std::byte* in, std::byte* out, size_t count, DType as, float added) noexcept {
  if (as == DType::f32)
    convert_plain<From, ToF32>(in, out, count, added);
  else
    convert_plain<From, ToBf16>(in, out, count, added);
}

}  // namespace

const StorageTraits& traits(Storage storage) noexcept {
  static constexpr StorageTraits table[] = {
      {"BF16", DType::bf16, 1, 2},   {"F16", DType::f16, 1, 2},     {"F32", DType::f32, 1, 4},
      {"I32", DType::i32, 1, 4},     {"I64", DType::i64, 1, 8},     {"U8", DType::u8, 1, 1},
      {"Q8_0", DType::bf16, 32, 34}, {"Q4_0", DType::bf16, 32, 18}, {"Q4_1", DType::bf16, 32, 20},
  };
  return table[static_cast<size_t>(storage)];
}
Storage storage_of(DType dtype) noexcept { return static_cast<Storage>(dtype); }

Status convert(Storage storage, std::span<const std::byte> in, DType as, std::span<std::byte> out, float added) {
  const StorageTraits& t = traits(storage);
  const size_t blocks = in.size() / static_cast<size_t>(t.block_bytes);
  const size_t count = blocks * static_cast<size_t>(t.block_elements);
  if (in.size() % static_cast<size_t>(t.block_bytes) != 0 || out.size() != count * static_cast<size_t>(size_of(as)))
    return failure(Code::internal, "conversion of ", in.size(), " bytes of ", t.name, " into ", out.size(),
                   " bytes of ", name(as));
  if (!is_quantised(storage) && as == t.presented && added == 0) {
    if (!in.empty()) std::memcpy(out.data(), in.data(), in.size());
    return {};
  }
  if (as != DType::bf16 && as != DType::f32)
    return failure(Code::unsupported, t.name, " cannot be converted to ", name(as));
  switch (storage) {
    case Storage::bf16:
      return convert_from<FromBf16>(in.data(), out.data(), count, as, added), Status();
    case Storage::f16:
      return convert_from<FromF16>(in.data(), out.data(), count, as, added), Status();
    case Storage::f32:
      return convert_from<FromF32>(in.data(), out.data(), count, as, added), Status();
    case Storage::i32:
    case Storage::i64:
    case Storage::u8:
      break;
    case Storage::q8_0:
    case Storage::q4_0:
    case Storage::q4_1:
      if (added != 0) break;
      if (storage == Storage::q4_0) return expand_q4_0(in.data(), out.data(), blocks, as), Status();
      if (storage == Storage::q4_1) return expand_q4_1(in.data(), out.data(), blocks, as), Status();
      if (as == DType::f32)
        expand_q8_0<ToF32>(in.data(), out.data(), blocks);
      else
        expand_q8_0<ToBf16>(in.data(), out.data(), blocks);
      return {};
  }
  return failure(Code::unsupported, t.name, " cannot be converted to ", name(as));
}

}  // namespace tare
