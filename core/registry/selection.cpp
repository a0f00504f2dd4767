#include "core/registry/selection.hpp"

#include <algorithm>

namespace tare {
namespace {

Verdict layouts_fit(const KernelCandidate& candidate, const Problem& problem, const Constraints& constraints) {
  if (constraints.settled == nullptr) return Verdict::yes();
  for (size_t op = 0; op < problem.ops.size(); ++op)
    for (size_t position = 0; position < problem.ops[op].weights.size(); ++position) {
      if (!problem.ops[op].weights[position]) continue;
      const std::string_view settled = constraints.settled(constraints.context, op, position);
      if (settled.empty()) continue;
      const auto readable = candidate.layouts(problem, op, position);
      if (std::ranges::any_of(readable, [&](const std::string& l) { return l == "*" || l == settled; })) continue;
      std::string wanted;
      for (const std::string& l : readable) wanted += (wanted.empty() ? "" : ", ") + l;
      return Verdict::no("the weight lies in ", settled, ", it reads ", wanted);
    }
  return Verdict::yes();
}

}  // namespace

Verdict fits(const KernelCandidate& candidate, const Problem& problem, const Constraints& constraints) {
  if (constraints.references_only && !candidate.is_reference() && problem.ops.size() > 1)
    return Verdict::no("a fused kernel in a plan of references");
  if (Verdict v = candidate.supports(problem); !v) return v;
  const std::string numerics = candidate.numerics(problem);
  if (constraints.deterministic && numerics.empty())
    return Verdict::no("declares no order of its sums, which a deterministic plan needs");
  if (!constraints.numerics.empty() && numerics != constraints.numerics)
    return Verdict::no("adds in the order ", numerics, ", the problem keeps ", constraints.numerics);
  return layouts_fit(candidate, problem, constraints);
}

std::optional<Choice> select(std::span<const KernelCandidate* const> candidates, const Problem& problem,
                             const Constraints& constraints, const TuningLookup* tuning,
                             std::vector<PassedOver>& passed_over) {
  if (tuning != nullptr && !constraints.references_only) {
    const auto& weights = problem.first().weights;
    const bool laid = constraints.settled != nullptr && !weights.empty() && weights.front().has_value();
    const std::string_view layout = laid ? constraints.settled(constraints.context, 0, 0) : "";
    auto tuned = tuning->find(problem, layout, constraints.numerics);
    auto at = candidates.end();
    const bool chain_known = tuned.has_value();
    if (tuned) {
      at = std::ranges::find(candidates, std::string_view(tuned->kernel), &KernelCandidate::id);
    } else if (problem.ops.size() > 1) {
      Problem alone = problem;
      alone.ops.resize(1);
      tuned = tuning->find(alone, layout, constraints.numerics);
      if (tuned) at = std::ranges::find(candidates, std::string_view(tuned->kernel), &KernelCandidate::tuned_as);
      if (at == candidates.end()) tuned.reset();  // says nothing of the chain
      if (tuned) tuned->note += text(tuned->note.empty() ? "" : ", ", "the first op alone");
    }
    if (tuned) {
      Verdict verdict = at == candidates.end() ? Verdict::no("the tuning database names it, no plugin brings it")
                                               : fits(**at, problem, constraints);
      if (verdict) verdict = (*at)->accepts(problem, tuned->config);
      if (verdict)
        return Choice{*at, std::move(tuned->config), (*at)->numerics(problem), tuned->ending, std::move(tuned->note)};
      passed_over.push_back({tuned->kernel, "tuned, but " + verdict.reason});
      // The first op alone has a better kernel than the chain can have.
      if (!chain_known) return std::nullopt;
    }
  }
  // References come last by the table's order; in a plan of references they come first, and what has none keeps its
  // own.
  for (const bool references : {constraints.references_only, !constraints.references_only})
    for (const KernelCandidate* candidate : candidates) {
      if (candidate->is_reference() != references) continue;
      if (Verdict verdict = fits(*candidate, problem, constraints); !verdict) {
        passed_over.push_back({std::string(candidate->id()), std::move(verdict.reason)});
        continue;
      }
      return Choice{candidate, candidate->fallback(problem), candidate->numerics(problem), Ending::rule, ""};
    }
  return std::nullopt;
}

}  // namespace tare
