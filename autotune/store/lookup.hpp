// TuningStore: entries of the user's database over those that were shipped, as selection asks for them. It ends in
// exact, stale (another kernel hash or program version: a hint) or nearest (another SKU of the architecture); a miss is
// an empty answer, and selection's rule takes over. Const after it was made, [any thread].
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
  // `sources`: what wins comes first.
  TuningStore(const DeviceInfo& device, std::span<const SkuEntries> sources, KernelHashes hashes);

  std::optional<TunedChoice> find(const Problem& problem, std::string_view layout,
                                  std::string_view numerics) const override;
  struct Found {
    const TuningEntry* entry = nullptr;
    Ending ending = Ending::rule;
    std::string note;
  };
  // `numerics` empty: the fastest of all orders.
  Found look_up(const std::string& problem, std::string_view layout, std::string_view numerics, int64_t rows) const;
  size_t size() const noexcept { return entries_; }

 private:
  struct One {
    TuningEntry entry;
    int64_t distance = 0;  // in units; 0: this SKU itself
    size_t order = 0;
  };
  std::string sku_;
  KernelHashes hashes_;
  size_t entries_ = 0;
  std::map<std::string, std::vector<One>> by_problem_;
};

}  // namespace tare
