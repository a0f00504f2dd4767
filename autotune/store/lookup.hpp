// TuningStore: entries of the user's database over those that were shipped, as selection asks for them. It ends in
// exact, stale (another kernel hash: a hint) or nearest (another SKU of the architecture); a miss is an empty answer,
// and selection's rule takes over. It also knows which order of sums a problem has to keep. Const after it was made,
// [any thread].
#pragma once
#include <functional>
#include <map>
#include <span>

#include "autotune/store/entry.hpp"
#include "core/registry/selection.hpp"

namespace tare {

// Entries of one source with what "nearest" compares.
struct SkuEntries {
  std::string sku, architecture;
  int64_t units = 0;
  std::vector<TuningEntry> entries;
};
// The hash of the kernel of that id, as it is now; empty: unknown, which counts as equal.
using KernelHashes = std::function<std::string(std::string_view kernel)>;

class TuningStore final : public TuningLookup {
 public:
  // `sources`: what wins comes first. `kept`: orders of sums, of any SKU. Where a problem has none, the order that all
  // entries of this SKU share is its own.
  TuningStore(const DeviceInfo& device, std::span<const SkuEntries> sources, KernelHashes hashes,
              std::span<const KeptNumerics> kept = {});

  std::optional<TunedChoice> find(const Problem& problem, std::string_view layout,
                                  std::string_view numerics) const override;
  // A chain's order is its first op's.
  std::string kept_numerics(const Problem& problem) const override;
  struct Found {
    const TuningEntry* entry = nullptr;
    Ending ending = Ending::rule;
    std::string note;
  };
  // `numerics` empty: the fastest of all orders.
  Found look_up(const std::string& problem, std::string_view layout, std::string_view numerics, int64_t rows) const;
  size_t size() const noexcept { return entries_; }
  // The fastest stream of weights that was measured on this SKU, in GB/s; 0: none was.
  double best_gb_s() const noexcept { return best_gb_s_; }

 private:
  struct One {
    TuningEntry entry;
    int64_t distance = 0;  // in units; 0: this SKU itself
    size_t order = 0;
  };
  std::string sku_;
  KernelHashes hashes_;
  size_t entries_ = 0;
  double best_gb_s_ = 0;
  std::map<std::string, std::string, std::less<>> kept_;  // by the printed form of the problem's first op
  std::map<std::string, std::vector<One>> by_problem_;
};

}  // namespace tare
