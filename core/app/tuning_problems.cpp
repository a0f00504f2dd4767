#include "core/app/tuning_problems.hpp"

#include <algorithm>
#include <fstream>

#include "autotune/run/peak.hpp"
#include "autotune/store/entry.hpp"
#include "autotune/store/problem_text.hpp"
#include "core/api/ops.hpp"
#include "core/app/product_shapes.hpp"
#include "core/config/model_config.hpp"
#include "core/program/trace.hpp"
#include "core/synth/files.hpp"
#include "core/synth/shape.hpp"

namespace tare {

Status add_problems(const Host& host, std::unique_ptr<const Program> program, const DeviceInfo& device,
                    const ExecutorOptions& limits, TuningInput& input) {
  const PlanContext context{.program = *program,
                            .entry = 0,
                            .registry = host.registry(),
                            .ops = host.ops(),
                            .device = device,
                            .deterministic = true,
                            .references_only = false,
                            .tuning = nullptr,
                            .chosen_layouts = {}};
  const std::vector<Bucket> buckets = buckets_for(limits);
  TARE_ASSIGN_OR_RETURN(const Settlement settlement, settle(context, buckets));
  std::vector<Plan> plans;
  for (const Bucket& bucket : buckets) {
    TARE_ASSIGN_OR_RETURN(Plan plan, make_plan(context, settlement, bucket));
    plans.push_back(std::move(plan));
  }
  merge(input.problems, tuning_problems(plans));
  input.programs.push_back(std::move(program));
  return {};
}

namespace {

// As plans have them for a model: every product alone, at the buckets' rows.
void add_listed(const std::vector<ShapeProduct>& products, const DeviceInfo& device, const ExecutorOptions& limits,
                TuningInput& input) {
  const std::vector<Bucket> buckets = buckets_for(limits);
  std::vector<TuningProblem> problems;
  for (const ShapeProduct& product : products) {
    TuningProblem p{plain_product(device, product.outputs[0], product.inputs, 1), "", {}};
    ProblemOp& op = p.problem.ops[0];
    op.weights.clear(), op.results.clear();
    for (const int64_t n : product.outputs) {
      op.weights.emplace_back(WeightInfo{product.name, DType::bf16, {n, product.inputs}, 1});
      op.weights.emplace_back();
      op.results.push_back({{{1, Axis::tokens}, n}, product.logits ? DType::f32 : DType::bf16});
    }
    if (product.logits) op.attributes = to_attributes(Linear{.f32 = true});
    for (const Bucket& b : buckets) p.points.push_back(rows_point(product.logits ? b.logit_rows : b.tokens));
    p.points.erase(std::unique(p.points.begin(), p.points.end()), p.points.end());
    p.problem.rows = p.points.back(), p.printed = to_string(p.problem);
    problems.push_back(std::move(p));
  }
  merge(input.problems, std::move(problems));
}

}  // namespace

Status add_shape(const Host& host, std::string_view name, const DeviceInfo& device, const ExecutorOptions& limits,
                 TuningInput& input) {
  if (is_listed_shape(name)) {
    TARE_ASSIGN_OR_RETURN(const auto products, products_of_shape(name));
    add_listed(products, device, limits, input);
    return {};
  }
  TARE_ASSIGN_OR_RETURN(synth::Shape shape, synth::find_shape(name));
  shape.layers = 1;
  TARE_ASSIGN_OR_RETURN(auto values, parse_model_config(synth::config_json(shape), name));
  const Config config(std::move(values));
  for (const std::string& architecture : config.strings("architectures"))
    for (const ModelFamily* family : host.families())
      if (std::ranges::find(family->architectures, architecture) != family->architectures.end()) {
        TARE_ASSIGN_OR_RETURN(const Program traced, trace(*family, config, {.dtype = DType::bf16}, host.ops()));
        return add_problems(host, std::make_unique<const Program>(with_sampling(traced)), device, limits, input);
      }
  return failure(Code::unsupported, "no plugin brings a family for the shape ", name);
}

int64_t cold_cpu_bytes() {
  int64_t bytes = 0;
  for (int index = 0; index < 8; ++index) {
    std::ifstream file(text("/sys/devices/system/cpu/cpu0/cache/index", index, "/size"));
    int64_t kib = 0;
    if (file >> kib) bytes = std::max(bytes, kib * 1024);  // "2048K"
  }
  return std::clamp(bytes / 4 * 5, int64_t{64} << 20, int64_t{1} << 30);
}

}  // namespace tare
