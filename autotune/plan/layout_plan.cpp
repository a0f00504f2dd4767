#include "autotune/plan/layout_plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tare {
namespace {

// An item's options on the lower convex hull of (bytes, seconds), smallest first: what a greedy walk may use.
std::vector<size_t> hull_of(const LayoutItem& item) {
  std::vector<size_t> order(item.options.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto& o = item.options;
  std::ranges::sort(order, [&](size_t a, size_t b) {
    return o[a].bytes != o[b].bytes ? o[a].bytes < o[b].bytes : o[a].seconds < o[b].seconds;
  });
  std::vector<size_t> hull;
  const auto slope = [&](size_t a, size_t b) {  // seconds saved a byte
    return (o[a].seconds - o[b].seconds) / static_cast<double>(o[b].bytes - o[a].bytes);
  };
  for (const size_t i : order) {
    if (!hull.empty() && (o[i].seconds >= o[hull.back()].seconds || o[i].bytes == o[hull.back()].bytes)) continue;
    while (hull.size() >= 2 && slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), i)) hull.pop_back();
    hull.push_back(i);
  }
  return hull;
}

struct Step {
  size_t item, from, to;
  int64_t bytes;  // more, for one matrix
  double saved;   // seconds, for one matrix
};

PlannedLayouts smallest(std::span<const LayoutItem> items, const std::vector<std::vector<size_t>>& hulls) {
  PlannedLayouts plan;
  for (size_t i = 0; i < items.size(); ++i) {
    plan.taken.emplace_back(items[i].options.size(), 0);
    const size_t first = hulls[i].front();
    plan.taken[i][first] = items[i].count;
    plan.bytes += items[i].count * items[i].options[first].bytes;
    plan.seconds += static_cast<double>(items[i].count) * items[i].options[first].seconds;
  }
  return plan;
}

// What is left of the budget may still hold single moves that the hull's order passed over.
void polish(std::span<const LayoutItem> items, int64_t budget, PlannedLayouts& plan) {
  for (bool moved = true; moved;) {
    moved = false;
    size_t item = 0, from = 0, to = 0;
    double best = 0;
    for (size_t i = 0; i < items.size(); ++i)
      for (size_t a = 0; a < items[i].options.size(); ++a)
        for (size_t b = 0; plan.taken[i][a] > 0 && b < items[i].options.size(); ++b) {
          const double saved = items[i].options[a].seconds - items[i].options[b].seconds;
          if (saved > best && plan.bytes + items[i].options[b].bytes - items[i].options[a].bytes <= budget)
            best = saved, item = i, from = a, to = b, moved = true;
        }
    if (!moved) break;
    const int64_t more = items[item].options[to].bytes - items[item].options[from].bytes;
    int64_t n = plan.taken[item][from];
    if (more > 0) n = std::min(n, (budget - plan.bytes) / more);
    plan.taken[item][from] -= n, plan.taken[item][to] += n;
    plan.bytes += n * more, plan.seconds -= static_cast<double>(n) * best;
  }
}

}  // namespace

Result<PlannedLayouts> plan_layouts(std::span<const LayoutItem> items, int64_t budget, PlanObjective objective) {
  if (budget <= 0) budget = std::numeric_limits<int64_t>::max();
  std::vector<std::vector<size_t>> hulls;
  std::vector<Step> steps;
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].options.empty()) return invalid(items[i].name, " has no layout that a kernel reads");
    hulls.push_back(hull_of(items[i]));
    const auto& o = items[i].options;
    for (size_t h = 1; h < hulls[i].size(); ++h) {
      const size_t a = hulls[i][h - 1], b = hulls[i][h];
      steps.push_back({i, a, b, o[b].bytes - o[a].bytes, o[a].seconds - o[b].seconds});
    }
  }
  PlannedLayouts plan = smallest(items, hulls);
  if (plan.bytes > budget)
    return failure(Code::exhausted, "the smallest layouts of all matrices need ", plan.bytes, " bytes, the budget has ",
                   budget);
  plan.least_seconds = plan.seconds;
  if (objective == PlanObjective::memory) return plan;
  // Best seconds a byte first; within an item the hull keeps its order. This is the linear relaxation's optimum up to
  // the one step that no longer fits in full, which gives the bound.
  std::ranges::stable_sort(steps, [](const Step& a, const Step& b) {
    return a.saved * static_cast<double>(b.bytes) > b.saved * static_cast<double>(a.bytes);
  });
  PlannedLayouts balanced = plan;
  const auto product = [](const PlannedLayouts& p) { return static_cast<double>(p.bytes) * p.seconds; };
  bool cut = false;
  for (const Step& s : steps) {
    int64_t n = plan.taken[s.item][s.from];
    if (s.bytes > 0) n = std::min(n, (budget - plan.bytes) / s.bytes);
    if (!cut) plan.least_seconds -= static_cast<double>(n) * s.saved;
    if (!cut && n < plan.taken[s.item][s.from]) {  // a part of the next one would fill the budget
      plan.least_seconds -=
          s.saved * static_cast<double>(budget - plan.bytes - n * s.bytes) / static_cast<double>(s.bytes);
      cut = true;
    }
    plan.taken[s.item][s.from] -= n, plan.taken[s.item][s.to] += n;
    plan.bytes += n * s.bytes, plan.seconds -= static_cast<double>(n) * s.saved;
    if (product(plan) < product(balanced)) {
      const double least = plan.least_seconds;
      balanced = plan, balanced.least_seconds = least;
    }
  }
  if (objective == PlanObjective::balanced) return balanced;
  polish(items, budget, plan);
  plan.least_seconds = std::min(plan.least_seconds, plan.seconds);
  return plan;
}

}  // namespace tare
