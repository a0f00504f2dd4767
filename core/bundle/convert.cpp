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

// All ones where `condition` holds. Selecting by masks keeps loops free of branches, so that they vectorise.
inline uint32_t mask(bool condition) noexcept { return 0u - static_cast<uint32_t>(condition); }
inline uint32_t select(uint32_t condition_mask, uint32_t yes, uint32_t no) noexcept {
  return (yes & condition_mask) | (no & ~condition_mask);
}
// The same as to_float(f16). No step has a subnormal float as input, so that a thread which flushes them still gets
// these right.
inline float half_to_float(uint16_t half) noexcept {
  const uint32_t magnitude = half & 0x7fffu, sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t small = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t normal = (magnitude << 13) + select(mask(magnitude >= 0x7c00u), 224u << 23, 112u << 23);
  return std::bit_cast<float>(sign | select(mask(magnitude < 0x400u), small, normal));
}
inline uint16_t round_to_bf16(float value) noexcept {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t nan = (bits >> 16) | 0x40u, rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>(select(mask((bits & 0x7fffffffu) > 0x7f800000u), nan, rounded));
}
// dq + m, each exact, rounded once. An F32 may not hold the sum, and rounding twice can be wrong where the first
// rounding ends on a tie of the second. So the sum is rounded to odd first, for which the second rounding is right
// (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008):
// `rest` is what the nearest F32 lacks (Knuth's TwoSum, exact).
inline uint16_t sum_to_bf16(float dq, float m) noexcept {
  const float sum = dq + m, part = sum - dq, rest = (dq - (sum - part)) + (m - part);
  const uint32_t bits = std::bit_cast<uint32_t>(sum);
  const uint32_t towards_zero = (std::bit_cast<uint32_t>(rest) ^ bits) >> 31;  // is the exact sum nearer to 0?
  const uint32_t adjust = mask(rest != 0 && (bits & 1u) == 0 && (bits & 0x7f800000u) != 0x7f800000u);
  return round_to_bf16(std::bit_cast<float>(bits + (adjust & (1u - 2u * towards_zero))));
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
void convert_plain(const std::byte* __restrict in, std::byte* __restrict out, size_t count, float added) noexcept {
  if (added != 0)
    for (size_t i = 0; i < count; ++i) To::put(out + i * To::kBytes, From::get(in + i * From::kBytes) - added);
  else
    for (size_t i = 0; i < count; ++i) To::put(out + i * To::kBytes, From::get(in + i * From::kBytes));
}

// d * q has at most 11 + 8 significant bits: exact in F32, so that the only rounding is To's.
template <class To>
void expand_q8_0(const std::byte* __restrict in, std::byte* __restrict out, size_t blocks) noexcept {
  for (size_t b = 0; b < blocks; ++b, in += 34, out += 32 * To::kBytes) {
    const float d = half_to_float(load<uint16_t>(in));
    for (size_t i = 0; i < 32; ++i)
      To::put(out + i * To::kBytes, d * static_cast<float>(static_cast<int8_t>(in[2 + i])));
  }
}

// A block has 16 possible values, so they are computed once and looked up.
template <class T, size_t kHeader, class Table>
void expand_nibbles(const std::byte* __restrict in, std::byte* __restrict out, size_t blocks,
                    const Table& table) noexcept {
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
void expand_q4_0(const std::byte* __restrict in, std::byte* __restrict out, size_t blocks, DType as) noexcept {
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
void expand_q4_1(const std::byte* __restrict in, std::byte* __restrict out, size_t blocks, DType as) noexcept {
  const auto table = [](const std::byte* block, auto& values) {
    const float d = half_to_float(load<uint16_t>(block)), m = half_to_float(load<uint16_t>(block + 2));
    for (int q = 0; q < 16; ++q) {
      const float dq = d * static_cast<float>(q);  // exact: 11 + 4 bits
      if constexpr (sizeof values[0] == 4)
        values[static_cast<size_t>(q)] = dq + m;
      else
        values[static_cast<size_t>(q)] = sum_to_bf16(dq, m);
    }
  };
  if (as == DType::f32)
    expand_nibbles<float, 4>(in, out, blocks, table);
  else
    expand_nibbles<uint16_t, 4>(in, out, blocks, table);
}

template <class From>
void convert_from(const std::byte* __restrict in, std::byte* __restrict out, size_t count, DType as,
                  float added) noexcept {
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
std::optional<Storage> storage_named(std::string_view dtype) {
  for (Storage s : {Storage::bf16, Storage::f16, Storage::f32, Storage::i32, Storage::i64, Storage::u8})
    if (traits(s).name == dtype) return s;
  return std::nullopt;
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
