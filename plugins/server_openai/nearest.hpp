// The nearest of some names, for "did you mean". [any thread]
#pragma once
#include <span>
#include <string_view>

namespace tare::server {

// The candidate with the fewest insertions, deletions and substitutions away; empty when none shares half its letters.
std::string_view nearest_name(std::string_view wanted, std::span<const std::string_view> candidates);

}  // namespace tare::server
