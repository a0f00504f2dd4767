// What `tare tuning` does with sets of entries: merge, compare, find what is out of date. Pure values, [any thread].
#pragma once
#include <functional>
#include <optional>
#include <set>
#include <span>

#include "autotune/store/entry.hpp"

namespace tare {

// Which of two entries of one key wins. newest: the later date, of equal dates the faster one, of equal times the one
// that comes first. fastest: the lower time, of equal times the later date. given: the one that comes later.
// An entry that is not exact never wins over one that is.
enum class MergeRule : uint8_t { newest, fastest, given };
constexpr std::string_view name(MergeRule rule) noexcept {
  constexpr std::string_view names[] = {"newest", "fastest", "given"};
  return names[static_cast<size_t>(rule)];
}
bool wins(const TuningEntry& later, const TuningEntry& earlier, MergeRule rule) noexcept;
// Of all sets, one entry a key, sorted.
std::vector<TuningEntry> merge(std::span<const std::vector<TuningEntry>> sets, MergeRule rule);

struct TuningDifference {
  std::vector<TuningEntry> only_a, only_b;
  struct Changed {
    TuningEntry a, b;
    bool choice = false;  // another kernel or config
    bool time = false;    // medians further apart than both spreads and 2 %
  };
  std::vector<Changed> changed;  // entries whose choice, time, hash or exactness differ
  size_t equal = 0;
};
TuningDifference difference(std::span<const TuningEntry> a, std::span<const TuningEntry> b);

struct PruneRule {
  // The hash of a kernel as it is now; empty: unknown, then nothing is stale. A kernel that is gone answers nothing.
  std::function<std::optional<std::string>(const std::string& kernel)>
      hash_now;                         // empty function: hashes are not asked
  std::optional<std::string> only_sku;  // entries of other SKUs go
  std::string before;                   // entries of dates before this one go; empty: none does
};
struct Pruned {
  TuningKey key;
  std::string
      reason;  // "the kernel k is gone", "measured with another build of k", "of another SKU", "from 2026-01-31"
};
std::vector<Pruned> to_prune(std::span<const TuningEntry> entries, const PruneRule& rule);

// "2026-01-31" so many days before `today`, which has the same form; nothing when it is no date.
std::optional<std::string> days_before(const std::string& today, int64_t days);
// Is it a date such as "2026-01-31"?
bool is_date(std::string_view text) noexcept;

}  // namespace tare
