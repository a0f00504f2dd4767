// Which kernels and configs may run a problem, and which layouts they read. Pure, [any thread].
#pragma once
#include <string>
#include <vector>

#include "autotune/run/bench.hpp"
#include "autotune/run/problems.hpp"
#include "core/registry/selection.hpp"

namespace tare {

struct Contestant {
  const KernelCandidate* kernel = nullptr;
  KernelConfig config;
  std::string name() const { return text(kernel->id(), " ", to_string(config)); }
};
// All of a key, the default (what selection's rule takes when nothing was measured) first. References are left out.
// Empty: no kernel reads the layout in this order of sums.
std::vector<Contestant> contestants_for(const Registry& registry, const Problem& problem, std::string_view layout,
                                        std::string_view numerics);
// Has the bench compile them all, at every one of `points`, under every order of sums.
void warm(const ProblemBench& bench, const Registry& registry, const Problem& problem, std::string_view layout,
          std::span<const int64_t> points);
// The default alone.
std::optional<Contestant> default_for(const Registry& registry, const Problem& problem, std::string_view layout,
                                      std::string_view numerics);
// Orders of sums that kernels offer at every one of `points`; the one that settles without a measurement first.
std::vector<std::string> numerics_of(const Registry& registry, const Problem& problem, std::span<const int64_t> points);
// Layouts of the problem's matrices that some kernel reads, plain ones first. `wanted`: codes or ids; empty: all.
std::vector<std::string> layouts_of(const Registry& registry, const Problem& problem,
                                    std::span<const std::string> wanted);

}  // namespace tare
