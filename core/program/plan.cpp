#include "core/program/plan.hpp"

#include <algorithm>

#include "core/program/arena.hpp"
#include "core/program/chain.hpp"
#include "core/program/op_table.hpp"

namespace tare {
namespace {

// Candidates for one chain of ops, best first.
struct Group {
  std::vector<std::string> takes;
  std::vector<const KernelCandidate*> candidates;
};
std::vector<Group> groups_for(const PlanContext& context, std::string_view op) {
  std::vector<Group> groups;
  for (const KernelCandidate* k : context.registry.beginning_with(context.device.kind, op)) {
    const auto takes = k->takes();
    auto at = std::ranges::find(groups, takes, &Group::takes);
    if (at == groups.end()) at = groups.insert(groups.end(), Group{takes, {}});
    at->candidates.push_back(k);
  }
  return groups;
}

// Layouts that are settled for a chain's weights.
struct SettledFor {
  const Program& program;
  std::span<const int32_t> nodes;
  std::span<const std::string> layouts;  // by weight
  static std::string_view look(const void* context, size_t op, size_t position) {
    const auto& self = *static_cast<const SettledFor*>(context);
    const int32_t w = self.program.nodes[static_cast<size_t>(self.nodes[op])].weights[position];
    return w < 0 ? std::string_view() : std::string_view(self.layouts[static_cast<size_t>(w)]);
  }
};

std::string reasons(std::span<const PassedOver> passed_over) {
  std::string out;
  for (const PassedOver& p : passed_over) out += text(out.empty() ? "" : "; ", p.kernel, ": ", p.reason);
  return out.empty() ? "no plugin brings one" : out;
}
Status no_kernel(const PlanContext& context, const Node& node, std::span<const PassedOver> passed_over) {
  return failure(Code::unsupported, node.op, " in ", node.scope.empty() ? "(top)" : node.scope,
                 node.where.empty() ? "" : " (" + node.where + ")", " has no kernel on ", context.device.id, ": ",
                 reasons(passed_over));
}

class Settler {
 public:
  Settler(const PlanContext& context, std::span<const Bucket> buckets) : context_(context), buckets_(buckets) {
    out_.layouts.assign(context.chosen_layouts.begin(), context.chosen_layouts.end());
    out_.layouts.resize(context.program.weights.size());
    out_.numerics.resize(context.program.nodes.size());
  }
  Result<Settlement> run() {
    for (size_t n = 0; n < context_.program.nodes.size(); ++n)
      if (context_.program.nodes[n].entry == context_.entry) TARE_RETURN_IF_ERROR(settle(static_cast<int32_t>(n)));
    for (std::string& layout : out_.layouts)
      if (layout.empty()) layout = "dense/rows";
    for (size_t w = 0; w < out_.layouts.size(); ++w)
      if (context_.registry.layout(out_.layouts[w]) == nullptr)
        return failure(Code::unsupported, "weight ", context_.program.weights[w].name, " should lie in ",
                       out_.layouts[w], ", a layout that no plugin brings");
    return std::move(out_);
  }

 private:
  // Takes the first candidate whose numerics every bucket offers, and lays the node's open weights as it likes best.
  Status settle(int32_t node) {
    const Node& n = context_.program.nodes[static_cast<size_t>(node)];
    std::vector<PassedOver> passed_over;
    const auto groups = groups_for(context_, n.op);
    const Problem problem = problem_of(context_, {&node, 1}, buckets_.front());
    // An order of sums that was chosen once is kept as long as a kernel offers it.
    std::string kept;
    if (context_.tuning != nullptr && context_.deterministic && !context_.references_only)
      kept = context_.tuning->kept_numerics(problem);
    for (const std::string& wanted : kept.empty() ? std::vector<std::string>{""} : std::vector<std::string>{kept, ""})
      for (const bool references : {context_.references_only, !context_.references_only})
        for (const Group& group : groups) {
          if (group.takes.size() != 1) continue;
          for (const KernelCandidate* candidate : group.candidates) {
            if (candidate->is_reference() != references) continue;
            if (!wanted.empty() && (!candidate->supports(problem) || candidate->numerics(problem) != wanted)) continue;
            const Verdict verdict = everywhere(*candidate, node);
            if (verdict) return take(*candidate, node);
            passed_over.push_back({std::string(candidate->id()), verdict.reason});
          }
        }
    return no_kernel(context_, n, passed_over);
  }
  Verdict everywhere(const KernelCandidate& candidate, int32_t node) {
    const SettledFor settled{context_.program, {&node, 1}, out_.layouts};
    std::string numerics;
    for (const Bucket& bucket : buckets_) {
      const Problem problem = problem_of(context_, {&node, 1}, bucket);
      const Constraints constraints{.numerics = numerics,
                                    .deterministic = context_.deterministic,
                                    .references_only = context_.references_only,
                                    .settled = SettledFor::look,
                                    .context = &settled};
      if (Verdict v = fits(candidate, problem, constraints); !v) {
        // Another kernel may take this bucket, if it adds in the same order.
        if (numerics.empty()) return v;
        std::vector<PassedOver> ignored;
        const auto all = context_.registry.beginning_with(context_.device.kind, problem.first().op);
        std::vector<const KernelCandidate*> single;
        std::ranges::copy_if(all, std::back_inserter(single), [](auto* k) { return k->takes().size() == 1; });
        if (!select(single, problem, constraints, nullptr, ignored)) return v;
      }
      if (numerics.empty()) numerics = candidate.numerics(problem);
      if (Verdict v = layable(candidate, problem, node); !v) return v;
    }
    return Verdict::yes();
  }
  Verdict layable(const KernelCandidate& candidate, const Problem& problem, int32_t node) const {
    const Node& n = context_.program.nodes[static_cast<size_t>(node)];
    for (size_t position = 0; position < n.weights.size(); ++position) {
      if (n.weights[position] < 0 || !out_.layouts[static_cast<size_t>(n.weights[position])].empty()) continue;
      if (best_layout(candidate, problem, position).empty())
        return Verdict::no("no plugin brings a layout for ", problem.first().weights[position]->name);
    }
    return Verdict::yes();
  }
  std::string best_layout(const KernelCandidate& candidate, const Problem& problem, size_t position) const {
    for (const std::string& id : candidate.layouts(problem, 0, position)) {
      if (id == "*") return id;
      const Layout* layout = context_.registry.layout(id);
      if (layout != nullptr && layout->supports(*problem.first().weights[position])) return id;
    }
    return "";
  }
  Status take(const KernelCandidate& candidate, int32_t node) {
    const Node& n = context_.program.nodes[static_cast<size_t>(node)];
    const Problem problem = problem_of(context_, {&node, 1}, buckets_.front());
    out_.numerics[static_cast<size_t>(node)] = candidate.numerics(problem);
    for (size_t position = 0; position < n.weights.size(); ++position) {
      if (n.weights[position] < 0) continue;
      std::string& layout = out_.layouts[static_cast<size_t>(n.weights[position])];
      if (!layout.empty()) continue;
      layout = best_layout(candidate, problem, position);
      if (layout == "*") layout.clear();  // any will do: left to another user of the weight
    }
    return {};
  }

  const PlanContext& context_;
  std::span<const Bucket> buckets_;
  Settlement out_;
};

Result<PlanStep> choose_step(const PlanContext& context, const Settlement& settlement, const Uses& uses,
                             const Bucket& bucket, int32_t node) {
  const Node& n = context.program.nodes[static_cast<size_t>(node)];
  PlanStep step;
  for (const Group& group : groups_for(context, n.op)) {
    if (context.references_only && group.takes.size() > 1) continue;
    step.nodes = chain_from(context.program, uses, node, group.takes);
    if (step.nodes.empty()) continue;
    step.problem = problem_of(context, step.nodes, bucket);
    const SettledFor settled{context.program, step.nodes, settlement.layouts};
    auto choice = select(group.candidates, step.problem,
                         {.numerics = settlement.numerics[static_cast<size_t>(node)],
                          .deterministic = context.deterministic,
                          .references_only = context.references_only,
                          .settled = SettledFor::look,
                          .context = &settled},
                         context.tuning, step.passed_over);
    if (!choice) continue;
    step.choice = std::move(*choice);
    step.scratch_bytes = step.choice.kernel->scratch_bytes(step.problem, step.choice.config);
    bind_operands(context.program, step);
    return step;
  }
  return no_kernel(context, n, step.passed_over);
}

// Lifetimes by step, elementwise results in a dying input's bytes, then one arena.
void place_values(const PlanContext& context, const Uses& uses, Plan& plan) {
  const Program& program = context.program;
  plan.values.assign(program.values.size(), {});
  std::vector<int32_t> root(program.values.size());
  for (size_t v = 0; v < root.size(); ++v) root[v] = static_cast<int32_t>(v);
  const auto last = static_cast<int32_t>(plan.steps.size()) - 1;
  for (int32_t s = 0; s <= last; ++s) {
    const PlanStep& step = plan.steps[static_cast<size_t>(s)];
    for (int32_t v : step.outputs) {
      Placed& placed = plan.values[static_cast<size_t>(v)];
      placed.bytes = plan.bucket.bytes(program.values[static_cast<size_t>(v)].info);
      placed.first_step = placed.last_step = s;
      if (uses.leaves[static_cast<size_t>(v)]) placed.last_step = last;
    }
    for (int32_t v : step.inputs) {
      Placed& placed = plan.values[static_cast<size_t>(v)];
      placed.last_step = std::max(placed.last_step, s);
    }
  }
  for (int32_t s = 0; s <= last; ++s) {
    const PlanStep& step = plan.steps[static_cast<size_t>(s)];
    const OpDefinition* definition = context.ops.find(program.nodes[static_cast<size_t>(step.nodes.front())].op);
    if (step.nodes.size() != 1 || step.outputs.size() != 1 || definition == nullptr || !definition->elementwise)
      continue;
    const auto out = static_cast<size_t>(step.outputs.front());
    for (int32_t v : step.inputs) {
      const auto in = static_cast<size_t>(root[static_cast<size_t>(v)]);
      if (plan.values[in].last_step != s || plan.values[in].bytes != plan.values[out].bytes ||
          uses.leaves[static_cast<size_t>(v)] || plan.values[static_cast<size_t>(v)].last_step != s)
        continue;
      root[out] = static_cast<int32_t>(in);
      plan.values[out].in_place = true;
      plan.values[in].last_step = plan.values[out].last_step;
      break;
    }
    // A value that lives in another's bytes keeps them alive.
    for (int32_t v : step.outputs) {
      const auto r = static_cast<size_t>(root[static_cast<size_t>(v)]);
      plan.values[r].last_step = std::max(plan.values[r].last_step, plan.values[static_cast<size_t>(v)].last_step);
    }
  }
  std::vector<Lifetime> lifetimes;
  std::vector<size_t> owner;
  for (size_t v = 0; v < plan.values.size(); ++v) {
    if (plan.values[v].first_step < 0) continue;
    plan.sum_bytes += plan.values[v].bytes;
    if (plan.values[v].in_place) continue;
    lifetimes.push_back({plan.values[v].bytes, plan.values[v].first_step, plan.values[v].last_step, 0});
    owner.push_back(v);
  }
  const size_t values = lifetimes.size();
  for (int32_t s = 0; s <= last; ++s)
    if (const int64_t bytes = plan.steps[static_cast<size_t>(s)].scratch_bytes; bytes > 0) {
      lifetimes.push_back({bytes, s, s, 0});
      owner.push_back(static_cast<size_t>(s));
      plan.sum_bytes += bytes;
    }
  plan.arena_bytes = place(lifetimes);
  for (size_t i = 0; i < lifetimes.size(); ++i)
    (i < values ? plan.values[owner[i]].offset : plan.steps[owner[i]].scratch_offset) = lifetimes[i].offset;
  for (size_t v = 0; v < plan.values.size(); ++v)
    if (plan.values[v].in_place) plan.values[v].offset = plan.values[static_cast<size_t>(root[v])].offset;
}

}  // namespace

int64_t Bucket::rows(const Shape& shape) const noexcept {
  if (shape.empty()) return 1;
  const Dim& lead = shape.front();
  return lead.axis == Axis::tokens       ? tokens * lead.size
         : lead.axis == Axis::sequences  ? sequences * lead.size
         : lead.axis == Axis::logit_rows ? logit_rows * lead.size
                                         : 1;
}
int64_t Bucket::bytes(const TensorInfo& info) const noexcept {
  const int64_t lead = info.shape.empty() || !is_rows(info.shape.front().axis) ? 1 : info.shape.front().size;
  return rows(info.shape) * (elements(info.shape) / lead) * size_of(info.dtype);
}
std::string to_string(const Bucket& bucket) {
  return text(bucket.tokens, " tokens, ", bucket.sequences, " sequences, ", bucket.logit_rows, " logit rows");
}

WeightInfo weight_info(const Program& program, int32_t weight) {
  const WeightDecl& decl = program.weights[static_cast<size_t>(weight)];
  const int64_t row_dims = decl.input_dims > 0 ? decl.input_dims : 1;
  return {decl.name, decl.dtype.value_or(program.dtype), decl.shape, row_dims};
}

Program with_sampling(const Program& program) {
  Program out = program;
  for (const OutputDecl& o : program.outputs) {
    if (o.entry != 0 || o.name != "logits") continue;
    const auto value = static_cast<int32_t>(out.values.size()), node = static_cast<int32_t>(out.nodes.size());
    out.values.push_back({.info = {{{1, Axis::logit_rows}}, DType::i32}, .node = node, .entry = 0, .name = "token"});
    out.nodes.push_back({.op = std::string(Sample::kOp),
                         .attributes = {},
                         .inputs = {o.value},
                         .results = {value},
                         .weights = {},
                         .state = kAbsent,
                         .entry = 0,
                         .layer = -1,
                         .scope = "",
                         .where = ""});
    out.outputs.push_back({0, "token", value});
    break;
  }
  return out;
}

Result<Settlement> settle(const PlanContext& context, std::span<const Bucket> buckets) {
  return Settler(context, buckets).run();
}

Result<Plan> make_plan(const PlanContext& context, const Settlement& settlement, const Bucket& bucket) {
  Plan plan{.entry = context.entry, .bucket = bucket, .steps = {}, .values = {}};
  const Uses uses = uses_of(context.program);
  std::vector<bool> covered(context.program.nodes.size());
  for (size_t n = 0; n < context.program.nodes.size(); ++n) {
    if (covered[n] || context.program.nodes[n].entry != context.entry) continue;
    TARE_ASSIGN_OR_RETURN(PlanStep step, choose_step(context, settlement, uses, bucket, static_cast<int32_t>(n)));
    for (int32_t id : step.nodes) covered[static_cast<size_t>(id)] = true;
    plan.steps.push_back(std::move(step));
  }
  place_values(context, uses, plan);
  return plan;
}

}  // namespace tare
