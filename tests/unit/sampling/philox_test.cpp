#include "plugins/sampling/philox.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "plugins/sampling/weight.hpp"

namespace tare::sampling {
namespace {

TEST_CASE("Philox 4x32-10 gives the published answers") {
  // Random123's known answers (tests/kat_vectors): zeros, ones, and the digits of pi.
  CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) == PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr uint32_t f = 0xffffffff;
  CHECK(philox4x32_10({f, f, f, f}, {f, f}) == PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("seed, choice and position each change the bits") {
  std::set<uint64_t> seen;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, ~uint64_t{0}})
    for (int32_t choice = 0; choice < 4; ++choice)
      for (int32_t position = 0; position < 100; ++position) seen.insert(random_bits(seed, choice, position));
  CHECK(seen.size() == 4 * 4 * 100);
  CHECK(random_bits(0, 0, 0) == 0xe169c58d6627e8d5u);
}

TEST_CASE("weights follow the exponential function") {
  CHECK(weight(0) == kOne);
  uint64_t before = kOne;
  for (float halvings = 0; halvings < 45; halvings += 0.01f) {
    const double exact = static_cast<double>(kOne) * std::exp2(-static_cast<double>(halvings));
    const uint64_t w = weight(halvings);
    CHECK(std::abs(static_cast<double>(w) - exact) <= 3e-7 * exact + 1);
    CHECK(w <= before);
    before = w;
  }
  CHECK(weight(41) == 0);
  CHECK(weight(INFINITY) == 0);
}

TEST_CASE("the point lies inside the total") {
  CHECK(point(0, 1000) == 0);
  CHECK(point(~uint64_t{0}, 1000) == 999);
  CHECK(point(~uint64_t{0}, ~uint64_t{0}) == ~uint64_t{0} - 1);
  CHECK(point(uint64_t{1} << 63, uint64_t{1} << 58) == uint64_t{1} << 57);
}

}  // namespace
}  // namespace tare::sampling
