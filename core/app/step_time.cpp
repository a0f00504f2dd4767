#include "core/app/step_time.hpp"

#include <algorithm>

#include "autotune/store/problem_text.hpp"
#include "core/api/ops.hpp"

namespace tare {
namespace {

constexpr int64_t kPage = 4096;

// Dense BF16 rates of one core, in TFLOP/s, near what our kernels reach; assumed, not measured here.
double core_tflops(const DeviceInfo& device) {
  const auto has = [&](std::string_view f) { return std::ranges::find(device.features, f) != device.features.end(); };
  return has("amx_bf16") ? 1.0 : has("avx512_bf16") ? 0.2 : has("avx2") ? 0.08 : 0.02;
}

}  // namespace

DeviceRates rates_of(const DeviceInfo& device, const TuningStore* tuning, double gb_s, std::string_view gb_s_basis) {
  DeviceRates out;
  out.gb_s = tuning != nullptr ? tuning->best_gb_s() : 0;
  out.basis = "the fastest weight stream measured on this SKU";
  if (out.gb_s <= 0) out.gb_s = gb_s, out.basis = gb_s_basis;
  if (device.kind == "cpu") {
    out.tflops = core_tflops(device) * device.units;
    out.launch_seconds = 5e-6;  // waking the workers and their barrier; small ops of a decode step take about as long
  } else {
    out.launch_seconds = 3e-6;
  }
  return out;
}

int64_t laid_out_bytes(const Program& program, int32_t weight, const Layout& layout) {
  return (layout.expected_bytes(weight_info(program, weight)) + kPage - 1) / kPage * kPage;
}

StepTime time_of(const PlanStep& step, const Program& program, const Settlement& settlement, const Registry& registry,
                 const TuningStore* tuning, const DeviceRates& rates, const StepCase& what) {
  const ProblemOp& first = step.problem.first();
  const Bucket now = what.bucket();
  const auto info_of = [&](int32_t v) -> const TensorInfo& { return program.values[static_cast<size_t>(v)].info; };
  const int64_t rows = step.outputs.empty() ? now.tokens : now.rows(info_of(step.outputs.front()).shape);
  if (tuning != nullptr) {
    const bool weights = !step.weights.empty() && step.weights.front() >= 0;
    const std::string_view layout =
        weights ? std::string_view(settlement.layouts[static_cast<size_t>(step.weights.front())]) : "";
    for (const int64_t measured : {rows, step.problem.rows}) {  // as many as there are, else as the bucket takes
      const auto found = tuning->look_up(to_string(step.problem), layout, step.choice.numerics, measured);
      if (found.entry != nullptr && found.ending != Ending::nearest) return {found.entry->value.us * 1e-6, true};
    }
  }
  double bytes = 0, sums = 0;
  for (const std::vector<int32_t>* values : {&step.inputs, &step.outputs})
    for (const int32_t v : *values) bytes += static_cast<double>(now.bytes(info_of(v)));
  for (size_t w = 0; w < step.weights.size(); ++w) {
    const int32_t weight = step.weights[w];
    if (weight < 0) continue;
    const WeightInfo info = weight_info(program, weight);
    const Layout* layout = registry.layout(settlement.layouts[static_cast<size_t>(weight)]);
    const int64_t all = layout != nullptr ? laid_out_bytes(program, weight, *layout)
                                          : info.outputs() * info.inputs() * size_of(info.dtype);
    if (first.op == Embed::kOp) {  // one row a token
      bytes += static_cast<double>(all) / static_cast<double>(std::max<int64_t>(1, info.outputs())) *
               static_cast<double>(rows);
      continue;
    }
    bytes += static_cast<double>(all);
    if (first.op == Linear::kOp && info.input_dims > 0)
      sums += 2.0 * static_cast<double>(info.outputs() * info.inputs()) * static_cast<double>(rows);
  }
  if (step.state >= 0) {
    double token = 0;
    for (const Shape& part : program.states[static_cast<size_t>(step.state)].parts)
      token += static_cast<double>(elements(part) * size_of(program.dtype));
    bytes += token * static_cast<double>((what.context + what.tokens_each()) * what.sequences);
    // Of each row and head: products with the keys that it sees, and with their values.
    if (first.op == Attention::kOp && !step.inputs.empty())
      sums += 4.0 * static_cast<double>(now.bytes(info_of(step.inputs.front())) / size_of(program.dtype)) *
              (static_cast<double>(what.context) + static_cast<double>(what.tokens_each() + 1) / 2);
  }
  double seconds = 0;
  if (rates.gb_s > 0) seconds = bytes / (rates.gb_s * 1e9);
  if (rates.tflops > 0) seconds = std::max(seconds, sums / (rates.tflops * 1e12));
  return {seconds + rates.launch_seconds, false};
}

PredictedStep predict(const Plan& plan, const Program& program, const Settlement& settlement, const Registry& registry,
                      const TuningStore* tuning, const DeviceRates& rates, const StepCase& what,
                      std::span<const double> probed) {
  PredictedStep out;
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    const PlanStep& step = plan.steps[s];
    StepTime time = time_of(step, program, settlement, registry, tuning, rates, what);
    if (s < probed.size() && probed[s] > 0) time = {probed[s], true};
    const bool product = step.problem.first().op == Linear::kOp;
    (product ? out.products : out.other) += time.seconds;
    if (time.measured) (product ? out.measured : out.other_measured) += time.seconds;
  }
  return out;
}

}  // namespace tare
