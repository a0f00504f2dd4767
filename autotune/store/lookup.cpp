#include "autotune/store/lookup.hpp"

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "autotune/store/attribute_text.hpp"
#include "autotune/store/problem_text.hpp"

namespace tare {

namespace {

std::string_view first_op(std::string_view printed) { return printed.substr(0, printed.find("; ")); }

}  // namespace

TuningStore::TuningStore(const DeviceInfo& device, std::span<const SkuEntries> sources, KernelHashes hashes,
                         std::span<const KeptNumerics> kept)
    : sku_(device.sku), hashes_(std::move(hashes)) {
  for (size_t order = 0; order < sources.size(); ++order) {
    const SkuEntries& source = sources[order];
    if (source.sku != sku_ && source.architecture != device.architecture) continue;
    for (const TuningEntry& e : source.entries) {
      if (e.key.sku != source.sku || !e.value.exact) continue;
      const int64_t distance = source.sku == sku_ ? 0 : 1 + std::abs(source.units - device.units);
      by_problem_[e.key.problem].push_back({e, distance, order});
      ++entries_;
      if (distance == 0 && e.key.rows == 1) best_gb_s_ = std::max(best_gb_s_, e.value.gb_s);
    }
  }
  for (const KeptNumerics& k : kept)  // the plain product's own word goes over that of a chain that begins with it
    if (k.sku == sku_ && first_op(k.problem) == k.problem) kept_.emplace(k.problem, k.numerics);
  for (const KeptNumerics& k : kept)
    if (k.sku == sku_) kept_.emplace(first_op(k.problem), k.numerics);
  std::map<std::string, std::string, std::less<>> shared;
  for (const auto& [problem, all] : by_problem_)
    for (const One& one : all) {
      if (one.distance > 0) continue;
      const auto [at, fresh] = shared.try_emplace(std::string(first_op(problem)), one.entry.key.numerics);
      if (!fresh && at->second != one.entry.key.numerics) at->second.clear();
    }
  for (auto& [problem, numerics] : shared)
    if (!numerics.empty()) kept_.emplace(problem, std::move(numerics));
}

std::string TuningStore::kept_numerics(const Problem& problem) const {
  if (kept_.empty()) return "";
  const std::string printed = to_string(problem);
  const auto at = kept_.find(first_op(printed));
  return at == kept_.end() ? "" : at->second;
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
