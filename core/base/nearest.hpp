// The nearest of some names, for "did you mean". [any thread]
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace tare {

// Insertions, deletions, substitutions and swaps of neighbours, each counting one (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b);
// The candidate with the smallest distance (the first of equals); empty when there is none that shares half of its
// letters.
std::string nearest_name(std::string_view wanted, std::span<const std::string> candidates);

}  // namespace tare
