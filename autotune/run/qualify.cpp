#include "autotune/run/qualify.hpp"

#include <cmath>

#include "autotune/run/peak.hpp"
#include "autotune/store/problem_text.hpp"
#include "autotune/store/tuning_folder.hpp"
#include "core/api/ops.hpp"

namespace tare {
namespace {

constexpr int64_t kGateRows[] = {1, 2, 3, 8, 17, 64, 200};

// Small and odd: sizes that fill no tile, stacked products with a bias, both fused neighbours.
std::vector<Problem> small_problems(const DeviceInfo& info) {
  std::vector<Problem> out;
  const auto stacked = [&](std::vector<int64_t> outputs, int64_t inputs, bool bias) {
    Problem p = plain_product(info, outputs[0], inputs, 1);
    ProblemOp& op = p.ops[0];
    op.weights.clear(), op.results.clear();
    for (const int64_t n : outputs) {
      op.weights.emplace_back(WeightInfo{"w", DType::bf16, {n, inputs}, 1});
      op.weights.emplace_back();
      if (bias) op.weights.back() = WeightInfo{"b", DType::bf16, {n}, 1};
      op.results.push_back({{{1, Axis::tokens}, n}, DType::bf16});
    }
    return p;
  };
  const auto followed = [](Problem p, std::string op, Attributes attributes, std::vector<int32_t> chain_results) {
    ProblemOp next;
    next.op = std::move(op), next.attributes = std::move(attributes);
    next.inputs = {p.ops[0].results[0], p.ops[0].results[0]}, next.results = {p.ops[0].results[0]};
    next.chain_input = 0, next.chain_results = std::move(chain_results);
    p.ops.push_back(std::move(next));
    return p;
  };
  out.push_back(stacked({192, 64, 64}, 160, true));
  out.push_back(stacked({100}, 72, false));
  out.push_back(followed(stacked({136}, 320, false), std::string(Add::kOp), {}, {0, -1}));
  out.push_back(followed(stacked({144, 144}, 96, false), std::string(Gated::kOp),
                         to_attributes(Gated{Activation::silu}), {0, 1}));
  Problem logits = stacked({300}, 128, false);
  logits.ops[0].attributes = to_attributes(Linear{.f32 = true});
  logits.ops[0].results[0].dtype = DType::f32;
  out.push_back(std::move(logits));
  if (info.kind == "cpu") return out;
  // GPU kernels take whole records of 16 x 64 numbers: small sizes that fill hardly any tile.
  out.push_back(stacked({208, 64, 64}, 192, true));
  out.push_back(followed(stacked({144}, 320, false), std::string(Add::kOp), {}, {0, -1}));
  out.push_back(followed(stacked({144, 144}, 128, false), std::string(Gated::kOp),
                         to_attributes(Gated{Activation::silu}), {0, 1}));
  return out;
}

double against(std::span<const TuningEntry> shipped, const TunerOutcome& tuning, int64_t& compared) {
  double logs = 0;
  for (const KeyOutcome& k : tuning.keys)
    for (const TuningEntry& e : shipped)
      if (e.key == k.key && e.value.us > 0 && k.entry.value.us > 0)
        logs += std::log(k.entry.value.us / e.value.us), ++compared;
  return compared > 0 ? std::exp(logs / static_cast<double>(compared)) : 1;
}

}  // namespace

std::vector<TuningProblem> gate_problems(const DeviceInfo& info) {
  std::vector<TuningProblem> out;
  for (Problem& problem : small_problems(info)) {
    TuningProblem p{std::move(problem), "", {}};
    for (const int64_t rows : kGateRows) p.points.push_back(rows_point(rows));
    p.points.erase(std::unique(p.points.begin(), p.points.end()), p.points.end());
    p.printed = to_string(p.problem);  // of one row: fused kernels take few rows alone
    out.push_back(std::move(p));
  }
  return out;
}

Result<std::vector<GateOutcome>> run_gates(Device& device, const DeviceInfo& info, const Registry& registry,
                                           const std::function<bool()>& stopped, DeviceData* data) {
  std::vector<GateOutcome> out;
  const auto outcome_of = [&](const Contestant& c, const std::string& layout, const std::string& id) -> GateOutcome& {
    for (GateOutcome& o : out)
      if (o.kernel == c.kernel->id() && o.layout == layout && o.numerics == id) return o;
    return out.emplace_back(GateOutcome{std::string(c.kernel->id()), layout, id, 0, ""});
  };
  BenchMemory memory;
  memory.data = data;
  for (const Problem& problem : small_problems(info))
    for (const std::string& layout : layouts_of(registry, problem, {})) {
      TARE_ASSIGN_OR_RETURN(const auto bench,
                            ProblemBench::create(device, registry, problem, layout, kGateRows[6], 0, memory));
      if (data != nullptr) warm(*bench, registry, problem, layout, kGateRows);
      for (const std::string& id : numerics_of(registry, problem, std::vector<int64_t>{1})) {
        TARE_ASSIGN_OR_RETURN(const auto gate,
                              ExactnessGate::create(device, registry, problem, layout, id, kGateRows[6], data));
        for (const int64_t rows : kGateRows)
          for (const Contestant& c : contestants_for(registry, at_rows(problem, rows_point(rows)), layout, id)) {
            if (stopped && stopped()) return failure(Code::cancelled, "stopped");
            GateOutcome& o = outcome_of(c, layout, id);
            const auto prepared = bench->prepare(*c.kernel, c.config, rows_point(rows));
            std::string reason = prepared.ok() ? "" : "does not run: " + prepared.status().message();
            if (reason.empty()) {
              TARE_ASSIGN_OR_RETURN(reason, gate->check(*bench, *prepared, {&rows, 1}));
            }
            ++o.checked;
            if (!reason.empty() && o.failure.empty())
              o.failure = text(to_string(c.config), " on ", to_string(problem), ": ", reason);
          }
      }
    }
  return out;
}

Result<Qualification> qualify(Device& device, const DeviceInfo& info, const Registry& registry,
                              std::span<const TuningProblem> problems, TuningDatabase& database,
                              const QualifyOptions& options) {
  Qualification out;
  if (options.tuner.progress) options.tuner.progress({0, 1, "exactness gates"});
  TARE_ASSIGN_OR_RETURN(out.gates, run_gates(device, info, registry, options.tuner.stopped, options.tuner.data));
  TARE_ASSIGN_OR_RETURN(out.tuning, tune(device, info, registry, problems, database, options.tuner));
  if (!options.output.empty()) {
    std::vector<TuningEntry> entries;
    for (const KeyOutcome& k : out.tuning.keys)
      if (k.state == KeyOutcome::State::tuned || k.state == KeyOutcome::State::known) entries.push_back(k.entry);
    if (!entries.empty()) {
      TARE_ASSIGN_OR_RETURN(out.files, write_tuning_files(options.output, info, entries));
    }
  }
  out.against_shipped = against(options.shipped, out.tuning, out.compared);
  const auto fails = [&](const std::string& kernel, const std::string& reason) {
    out.verdict = QualifyVerdict::failed;
    out.sentence = text("failed: ", kernel, " ", reason);
  };
  for (const GateOutcome& g : out.gates)
    if (!g.failure.empty() && out.sentence.empty()) fails(g.kernel, g.failure);
  for (const GateFailure& f : out.tuning.failures)
    if (out.sentence.empty()) fails(f.kernel, text(f.config, " on ", f.key.problem, ": ", f.reason));
  if (!out.sentence.empty()) return out;
  if (out.gates.empty() || out.tuning.keys.empty()) {
    fails("no kernel", text("of this build runs products on ", info.kind, " devices"));
    return out;
  }
  if (out.tuning.count(KeyOutcome::State::unfinished) > 0) {
    out.sentence = text("unfinished: ", out.tuning.count(KeyOutcome::State::unfinished), " of ", out.tuning.keys.size(),
                        " choices are left; the next run goes on");
    return out;
  }
  if (out.compared > 0 && out.against_shipped > 1 + options.tolerance) {
    out.verdict = QualifyVerdict::slower;
    out.sentence = text("slower than the shipped record by ", std::lround(100 * (out.against_shipped - 1)), " %");
  } else {
    out.verdict = QualifyVerdict::qualified, out.sentence = "qualified";
  }
  return out;
}

}  // namespace tare
