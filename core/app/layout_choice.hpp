// The choice of one layout for each matrix: what each would take in bytes and time, and the planner's pick under a
// budget. Pure but for what kernels and layouts answer, [any thread].
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/app/step_time.hpp"
#include "core/config/settings.hpp"

namespace tare {

// Prompt tokens for each answered one where nobody says more: an assumption, between a chat's first turn and a question
// about a document. A mix says otherwise.
constexpr double kPromptTokens = 4;

struct LayoutAim {
  Objective objective = Objective::latency;
  std::vector<BatchShare> mix = {};           // of Objective::mix
  int64_t weight_bytes = 0;                   // the most that all weights may take; 0: no cap
  int64_t sequences = 64, step_tokens = 512;  // most of a step: what full steps are, of Objective::throughput
  // What the time of a step is weighted over: the mix, full steps, or steps of one token. Of full steps there are, for
  // every `sequences` answered tokens, kPromptTokens times as many of prompts.
  std::vector<BatchShare> shares() const;
};
struct LayoutChoice {
  std::vector<std::string> layouts;  // by weight; "" leaves one open
  double seconds = 0;                // of the products of a mean step, as the planner counted
  double least_seconds = 0;          // no choice within the budget is faster than this
  bool measured = false;             // every option that was weighed has been measured
};

// All layouts that a kernel of the device reads take part, each under the order of sums that the model has without a
// choice. `tuning` may be null. Times are measured ones where the database has them. Where it has nothing for a matrix,
// the built-in rule decides: plain numbers count as fastest, then w12, then w11, so that latency means plain weights,
// balanced w12 and memory w11, until the budget asks for smaller ones. Refused with both figures when nothing fits.
Result<LayoutChoice> choose_layouts(const PlanContext& context, std::span<const Bucket> buckets, const LayoutAim& aim,
                                    const TuningStore* tuning, const DeviceRates& rates);

// The same without kernels, for a device that is only described: by each code's bytes and the rule's order alone.
// `layouts` then holds ids of any device's layouts with that code. `asked`: a code or id for all; empty: open.
Result<LayoutChoice> choose_codes(const Program& program, const Registry& registry, const LayoutAim& aim,
                                  const DeviceRates& rates, const std::string& asked = "");

// What the rule says a matrix in this layout costs, against plain numbers: 1 for "dense/...", more for smaller codes.
double rule_cost(std::string_view layout) noexcept;

}  // namespace tare
