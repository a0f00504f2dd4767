// Selection: which candidate runs a problem here, with the reason for every "no". It ends in one of four named ways
// (docs/decisions, DESIGN's words): exact, stale, nearest from the tuning database, or rule, the table's own order.
// Pure functions, [any thread].
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/registry/registry.hpp"

namespace tare {

enum class Ending : uint8_t { exact, stale, nearest, rule };
constexpr std::string_view name(Ending ending) noexcept {
  constexpr std::string_view names[] = {"exact", "stale", "nearest", "rule"};
  return names[static_cast<size_t>(ending)];
}

// What the tuning database says of a problem; absent when it has nothing usable.
struct TunedChoice {
  std::string kernel;
  KernelConfig config;
  Ending ending = Ending::exact;
  std::string note;  // "measured on nvidia-h200": for explain
};
class TuningLookup {
 public:
  virtual ~TuningLookup() = default;
  // `layout`: of the problem's first weight. `numerics`: the id that must be kept; empty: any.
  virtual std::optional<TunedChoice> find(const Problem& problem, std::string_view layout,
                                          std::string_view numerics) const = 0;
  // The order of sums that was chosen for this problem once and is kept; empty: none was, any will do.
  virtual std::string kept_numerics(const Problem&) const { return ""; }
};

// Layouts that are settled already: of weight `position` of op `op_index`; empty: still open.
using SettledLayout = std::string_view (*)(const void* context, size_t op_index, size_t position);
struct Constraints {
  std::string numerics;  // must be kept; empty: any that is declared
  bool deterministic = true;
  bool references_only = false;  // the oracle's own plan: for tests
  SettledLayout settled = nullptr;
  const void* context = nullptr;
};

struct PassedOver {
  std::string kernel, reason;
};
struct Choice {
  const KernelCandidate* kernel = nullptr;
  KernelConfig config;
  std::string numerics;
  Ending ending = Ending::rule;
  std::string note;
};

// Can `candidate` run `problem` under `constraints`? Every "no" has a reason.
Verdict fits(const KernelCandidate& candidate, const Problem& problem, const Constraints& constraints);

// The tuning database's choice when it fits, else the first candidate of `candidates` (all for one chain of ops) that
// does. None when no candidate fits; `passed_over` then says why, and otherwise what was refused before the choice.
std::optional<Choice> select(std::span<const KernelCandidate* const> candidates, const Problem& problem,
                             const Constraints& constraints, const TuningLookup* tuning,
                             std::vector<PassedOver>& passed_over);

}  // namespace tare
