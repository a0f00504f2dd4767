// Random numbers that depend on a key and a counter alone, so that any thread can make any part of a tensor and the
// bytes come out the same. [any thread]
#pragma once
#include <cstdint>
#include <string_view>

namespace tare::synth {

// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): its n-th output is a
// function of n, so it is a counter-based generator as it stands.
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
constexpr uint64_t mixed(uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
constexpr uint64_t random_bits(uint64_t key, uint64_t counter) noexcept { return mixed(key + (counter + 1) * kGolden); }
// In [0, 1), 53 bits.
constexpr double random_unit(uint64_t key, uint64_t counter) noexcept {
  return static_cast<double>(random_bits(key, counter) >> 11) * 0x1p-53;
}
// A key of its own for each name under a seed (FNV-1a, then mixed).
constexpr uint64_t key_of(uint64_t seed, std::string_view name) noexcept {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mixed(mixed(seed + kGolden) ^ hash);
}
// Standard normal (Box and Muller, 1958); uses counters 2n and 2n + 1.
double random_normal(uint64_t key, uint64_t n) noexcept;

}  // namespace tare::synth
