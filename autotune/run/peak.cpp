#include "autotune/run/peak.hpp"

#include "autotune/run/bench.hpp"
#include "autotune/run/candidates.hpp"
#include "core/api/ops.hpp"

namespace tare {

Problem plain_product(const DeviceInfo& info, int64_t outputs, int64_t inputs, int64_t rows) {
  Problem out;
  out.device_kind = info.kind, out.features = info.features, out.units = info.units, out.rows = rows;
  ProblemOp op;
  op.op = Linear::kOp, op.attributes = to_attributes(Linear{});
  op.inputs = {{{{1, Axis::tokens}, inputs}, DType::bf16}};
  op.results = {{{{1, Axis::tokens}, outputs}, DType::bf16}};
  op.weights = {WeightInfo{"w", DType::bf16, {outputs, inputs}, 1}, std::nullopt};
  out.ops = {std::move(op)};
  return out;
}

std::vector<TuningProblem> peak_problems(const DeviceInfo& info) {
  std::vector<TuningProblem> out;
  for (int64_t size = 1024; size <= 8192; size *= 2)
    out.push_back({plain_product(info, size, size, size / 2), "", {size / 2}});
  return out;
}

double peak_operations(Device& device, const DeviceInfo& info, const Registry& registry, std::string_view numerics,
                       LaunchTimer& timer, DeviceData* data) {
  double peak = 0;
  for (const TuningProblem& p : peak_problems(info)) {
    const Problem& problem = p.problem;
    const auto layouts = layouts_of(registry, problem, std::vector<std::string>{"dense"});
    if (layouts.empty()) continue;
    const auto contestant = default_for(registry, problem, layouts.front(), numerics);
    if (!contestant) continue;  // of other sizes the order is another
    BenchMemory memory;
    memory.data = data;
    auto bench = ProblemBench::create(device, registry, problem, layouts.front(), problem.rows, 0, memory);
    if (!bench.ok()) return peak;
    const auto prepared = (*bench)->prepare(*contestant->kernel, contestant->config, problem.rows);
    if (!prepared.ok()) return peak;
    // Once plainly: what is timed has run before.
    if (!(*bench)->launch(*prepared, problem.rows).ok() || !(*bench)->stream().synchronize().ok()) return peak;
    double seconds = 1e9;
    for (int i = 0; i < 4; ++i) {
      const double start = timer.now();
      if (!timer.run((*bench)->stream(), [&] { return (*bench)->launch(*prepared, problem.rows); }).ok()) return peak;
      seconds = std::min(seconds, timer.now() - start);
    }
    if (seconds <= 0) return peak;
    peak = std::max(peak, (*bench)->flops(problem.rows) / seconds);
    if (seconds > 0.5e-3) break;  // long enough to tell
  }
  return peak;
}

}  // namespace tare
