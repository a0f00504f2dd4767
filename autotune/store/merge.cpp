#include "autotune/store/merge.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

namespace tare {
namespace {

std::optional<std::chrono::sys_days> day_of(std::string_view text) noexcept {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  int number[3] = {};
  constexpr size_t begins[] = {0, 5, 8}, lengths[] = {4, 2, 2};
  for (int i = 0; i < 3; ++i)
    for (size_t c = begins[i]; c < begins[i] + lengths[i]; ++c) {
      if (text[c] < '0' || text[c] > '9') return std::nullopt;
      number[i] = 10 * number[i] + text[c] - '0';
    }
  const std::chrono::year_month_day date{std::chrono::year(number[0]),
                                         std::chrono::month(static_cast<unsigned>(number[1])),
                                         std::chrono::day(static_cast<unsigned>(number[2]))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

}  // namespace

bool wins(const TuningEntry& later, const TuningEntry& earlier, MergeRule rule) noexcept {
  const TuningValue &l = later.value, &e = earlier.value;
  if (l.exact != e.exact) return l.exact;
  switch (rule) {
    case MergeRule::newest:
      return l.date != e.date ? l.date > e.date : l.us < e.us;
    case MergeRule::fastest:
      return l.us != e.us ? l.us < e.us : l.date > e.date;
    case MergeRule::given:
      return true;
  }
  return false;
}

std::vector<TuningEntry> merge(std::span<const std::vector<TuningEntry>> sets, MergeRule rule) {
  std::map<TuningKey, const TuningEntry*> best;
  for (const auto& set : sets)
    for (const TuningEntry& e : set) {
      const auto [at, fresh] = best.emplace(e.key, &e);
      if (!fresh && wins(e, *at->second, rule)) at->second = &e;
    }
  std::vector<TuningEntry> out;
  for (const auto& [key, entry] : best) out.push_back(*entry);
  return out;
}

TuningDifference difference(std::span<const TuningEntry> a, std::span<const TuningEntry> b) {
  TuningDifference out;
  std::map<TuningKey, const TuningEntry*> right;
  for (const TuningEntry& e : b) right.emplace(e.key, &e);
  for (const TuningEntry& e : a) {
    const auto at = right.find(e.key);
    if (at == right.end()) {
      out.only_a.push_back(e);
      continue;
    }
    const TuningValue &x = e.value, &y = at->second->value;
    const double apart = std::abs(x.us - y.us), least = std::min(x.us, y.us);
    TuningDifference::Changed changed{e, *at->second, x.kernel != y.kernel || x.config != y.config,
                                      apart > std::max({x.spread, y.spread, 0.02 * least})};
    if (changed.choice || changed.time || x.hash != y.hash || x.exact != y.exact)
      out.changed.push_back(std::move(changed));
    else
      ++out.equal;
    right.erase(at);
  }
  for (const auto& [key, entry] : right) out.only_b.push_back(*entry);
  sort(out.only_a);
  std::ranges::sort(out.changed, {}, [](const TuningDifference::Changed& c) { return c.a.key; });
  return out;
}

std::vector<Pruned> to_prune(std::span<const TuningEntry> entries, const PruneRule& rule) {
  std::vector<Pruned> out;
  for (const TuningEntry& e : entries) {
    std::string reason;
    if (rule.only_sku && e.key.sku != *rule.only_sku) {
      reason = "of another SKU";
    } else if (!rule.before.empty() && e.value.date < rule.before) {
      reason = "from " + e.value.date;
    } else if (rule.hash_now) {
      const auto now = rule.hash_now(e.value.kernel);
      if (!now)
        reason = text("the kernel ", e.value.kernel, " is gone");
      else if (!now->empty() && !e.value.hash.empty() && *now != e.value.hash)
        reason = text("measured with another build of ", e.value.kernel);
    }
    if (!reason.empty()) out.push_back({e.key, std::move(reason)});
  }
  return out;
}

std::optional<std::string> days_before(const std::string& today, int64_t days) {
  const auto day = day_of(today);
  if (!day || days < 0 || days > 366 * 1000) return std::nullopt;
  const std::chrono::year_month_day date(*day - std::chrono::days(days));
  char out[32];
  std::snprintf(out, sizeof out, "%04d-%02u-%02u", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()));
  return std::string(out);
}
bool is_date(std::string_view text) noexcept { return day_of(text).has_value(); }

}  // namespace tare
