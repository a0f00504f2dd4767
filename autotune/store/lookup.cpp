#include "autotune/store/lookup.hpp"

#include <cstdlib>
#include <tuple>

#include "autotune/store/attribute_text.hpp"
#include "autotune/store/problem_text.hpp"

namespace tare {

TuningStore::TuningStore(const DeviceInfo& device, std::span<const SkuEntries> sources, KernelHashes hashes)
    : sku_(device.sku), hashes_(std::move(hashes)) {
  for (size_t order = 0; order < sources.size(); ++order) {
    const SkuEntries& source = sources[order];
    if (source.sku != sku_ && source.architecture != device.architecture) continue;
    for (const TuningEntry& e : source.entries) {
      if (e.key.sku != source.sku || !e.value.exact) continue;
      const int64_t distance = source.sku == sku_ ? 0 : 1 + std::abs(source.units - device.units);
      by_problem_[e.key.problem].push_back({e, distance, order});
      ++entries_;
    }
  }
}

TuningStore::Found TuningStore::look_up(const std::string& problem, std::string_view layout, std::string_view numerics,
                                        int64_t rows) const {
  const auto at = by_problem_.find(problem);
  if (at == by_problem_.end()) return {};
  const int64_t point = rows_point(rows);
  const One* best = nullptr;
  const auto rank = [](const One& o) { return std::tuple(o.distance, o.order, o.entry.value.us); };
  for (const One& one : at->second) {
    const TuningKey& key = one.entry.key;
    if (key.rows != point || (!layout.empty() && key.layout != layout)) continue;
    if (!numerics.empty() && key.numerics != numerics) continue;
    if (best == nullptr || rank(one) < rank(*best)) best = &one;
  }
  if (best == nullptr) return {};
  const TuningValue& v = best->entry.value;
  if (best->distance > 0) return {&best->entry, Ending::nearest, "measured on " + best->entry.key.sku};
  const std::string hash = hashes_ ? hashes_(v.kernel) : "";
  if (!hash.empty() && !v.hash.empty() && hash != v.hash)
    return {&best->entry, Ending::stale, text("measured on ", v.date, " with another build of the kernel")};
  return {&best->entry, Ending::exact, text("measured on ", v.date)};
}

std::optional<TunedChoice> TuningStore::find(const Problem& problem, std::string_view layout,
                                             std::string_view numerics) const {
  if (by_problem_.empty()) return std::nullopt;
  const Found found = look_up(to_string(problem), layout, numerics, problem.rows);
  if (found.entry == nullptr) return std::nullopt;
  auto config = parse_attributes(found.entry->value.config);
  if (!config.ok()) return std::nullopt;
  return TunedChoice{found.entry->value.kernel, std::move(*config), found.ending, found.note};
}

}  // namespace tare
