// How long steps of a Plan will take: as measured, where the tuning database has it, else by a roofline that is
// labelled as an estimate: the larger of bytes over bandwidth and sums over compute rate, and a fixed cost a launch.
// Pure, [any thread].
#pragma once
#include <string>

#include "autotune/store/lookup.hpp"
#include "core/app/step_case.hpp"

namespace tare {

// What estimates are made with; 0: unknown, left out of the roofline.
struct DeviceRates {
  double gb_s = 0, tflops = 0;
  double launch_seconds = 0;  // of one launch, beside its bytes and sums
  std::string basis;          // "measured weight streams of this SKU", for people
};
// Bandwidth: of the fastest stream of weights that was measured on this SKU, else `gb_s` (0: not known either). Compute
// rates of CPUs are assumed by instruction set, a core: nothing but large batches depends on them.
DeviceRates rates_of(const DeviceInfo& device, const TuningStore* tuning, double gb_s, std::string_view gb_s_basis);

struct StepTime {
  double seconds = 0;
  bool measured = false;
};
// Bytes of weights, state, inputs and outputs count, and the sums of products and attention. `tuning` may be null.
StepTime time_of(const PlanStep& step, const Program& program, const Settlement& settlement, const Registry& registry,
                 const TuningStore* tuning, const DeviceRates& rates, const StepCase& what);

// Of a whole Plan, by what is multiplied and what is not.
struct PredictedStep {
  double products = 0, other = 0;  // seconds
  double measured = 0;             // of `products`: what comes from measurements
  double other_measured = 0;       // of `other`
  double seconds() const noexcept { return products + other; }
};
// `probed`: of probe_step(), by step of the plan; empty: nothing was.
PredictedStep predict(const Plan& plan, const Program& program, const Settlement& settlement, const Registry& registry,
                      const TuningStore* tuning, const DeviceRates& rates, const StepCase& what,
                      std::span<const double> probed = {});

// Bytes of one weight as it will lie, rounded up to whole pages as loading does.
int64_t laid_out_bytes(const Program& program, int32_t weight, const Layout& layout);

}  // namespace tare
