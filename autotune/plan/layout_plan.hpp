// The choice of one layout for each matrix under a budget of bytes: a multiple-choice knapsack, taken along the convex
// hulls of the options (the linear relaxation's order) and polished by single moves. It comes with a lower bound, so a
// plan says how far from the best it can be at most. Pure, [any thread].
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/api/status.hpp"

namespace tare {

struct LayoutOption {
  std::string layout;
  int64_t bytes = 0;   // of one matrix
  double seconds = 0;  // of one use, weighted over the batch mix
};
// Matrices that are alike: each of them gets one of the options.
struct LayoutItem {
  std::string name;
  int64_t count = 1;
  std::vector<LayoutOption> options;
};
enum class PlanObjective : uint8_t { latency, balanced, memory };
constexpr std::string_view name(PlanObjective objective) noexcept {
  constexpr std::string_view names[] = {"latency", "balanced", "memory"};
  return names[static_cast<size_t>(objective)];
}
struct PlannedLayouts {
  // By item and option: how many of the item's matrices take it.
  std::vector<std::vector<int64_t>> taken;
  int64_t bytes = 0;
  double seconds = 0;
  double least_seconds = 0;  // no plan within the budget is faster than this: equal to `seconds`: it is the best
};
// latency: the fastest within `budget` bytes (0: none). memory: the fewest bytes, ties by time. balanced: the least
// product of bytes and time within the budget, along the frontier of fastest plans. Refused with both figures when
// nothing fits.
Result<PlannedLayouts> plan_layouts(std::span<const LayoutItem> items, int64_t budget, PlanObjective objective);

}  // namespace tare
