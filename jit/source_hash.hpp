// A hash of a bundle's sources: what KernelCandidate::hash() is made of, so that measurements of older code are known
// as such. 64 bits of FNV-1a (Fowler, Noll, Vo); header-only. Pure: [any thread].
#pragma once
#include <cstdint>
#include <string>

#include "jit/source/bundle.hpp"

namespace tare::jit {

inline std::string source_hash(const SourceBundle& bundle) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto take = [&hash](std::string_view bytes) {
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    hash *= 0x100000001b3u;  // between strings
  };
  for (const SourceFile& file : bundle.files) take(file.path), take(file.text);
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[hash >> shift & 15];
  return out;
}

}  // namespace tare::jit
