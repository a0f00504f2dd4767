#include "jit/source/hash.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tare::jit {

std::string hash_text(std::string_view bytes) {
  const XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const uint64_t word : {static_cast<uint64_t>(h.high64), static_cast<uint64_t>(h.low64)}) {
    for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[(word >> shift) & 15];
  }
  return out;
}

}  // namespace tare::jit
