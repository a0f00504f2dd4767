// Probabilities as whole numbers: a token's weight is 2^40 · e^-(below / temperature), `below` being how far its logit
// lies under the row's largest, cut to an integer. Sums of integers are exact in any order, so every way to add, split
// or vectorise them draws the same token; a row's sum stays below 2^64 for 2^24 tokens. A token less likely than 2^-40
// of the likeliest one is never drawn. [any thread]
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/api/status.hpp"
#include "core/api/step.hpp"

namespace tare::sampling {

inline constexpr uint64_t kOne = uint64_t{1} << 40;  // weight of the likeliest token

// Factor of `below` that gives its exponent of 1/2. Bounded, so that 0 · factor is 0 at the smallest temperature.
inline float halvings_per_logit(float temperature) noexcept { return std::min(1.44269504f / temperature, 1e30f); }

// 2^40 · 2^-halvings. One multiply and one add a step and no fused ones: the same bits on every CPU. The polynomial is
// our fit of 2^-f on [0, 1) with 2^0 = 1 exact, relative error 2e-9 before rounding.
inline uint64_t weight(float halvings) noexcept {
  const float t = halvings < 63.0f ? halvings : 63.0f;
  const int32_t whole = static_cast<int32_t>(t);
  const float f = t - static_cast<float>(whole);
  float p = 1.09023007e-4f;
  p = p * f - 1.27474766e-3f;
  p = p * f + 9.57917888e-3f;
  p = p * f - 5.54907583e-2f;
  p = p * f + 2.40224361e-1f;
  p = p * f - 6.93147063e-1f;
  p = p * f + 1.0f;
  return (static_cast<uint64_t>(static_cast<int32_t>(p * 16777216.0f)) << 16) >> whole;
}

// The least weight that min_p lets pass.
inline uint64_t least_weight(float min_p) noexcept {
  return static_cast<uint64_t>(static_cast<double>(min_p) * static_cast<double>(kOne));
}
// The sum at which top_p closes the set.
inline uint64_t top_p_target(float top_p, uint64_t total) noexcept {
  return static_cast<uint64_t>(static_cast<double>(top_p) * static_cast<double>(total));
}
// The point in [0, total) that the random bits choose: bits / 2^64 of the way.
inline uint64_t point(uint64_t bits, uint64_t total) noexcept {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{bits} * total >> 64);
}
// Log probability of a token `below` the likeliest one, when all weights at temperature 1 add up to `total`.
inline float log_probability(float below, uint64_t total) noexcept {
  return static_cast<float>(-static_cast<double>(below) - std::log(static_cast<double>(total) / double{kOne}));
}

inline Status refuse_logit(size_t id, float logit) {
  return invalid("the logit of token ", id, " is ", logit, ", expected a number");
}
inline Status refuse_all() { return invalid("every logit is -inf, expected at least one token that can be drawn"); }
inline Status refuse_id(std::string_view what, int32_t id, size_t vocabulary) {
  return invalid(what, " has token ", id, ", expected 0 to ", vocabulary - 1);
}

}  // namespace tare::sampling
