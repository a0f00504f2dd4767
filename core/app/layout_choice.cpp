#include "core/app/layout_choice.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "autotune/plan/layout_plan.hpp"
#include "core/api/ops.hpp"

namespace tare {
namespace {

struct Option {
  std::string layout;
  int64_t bytes = 0;
  double seconds = 0;
  bool measured = false;
};
// Matrices that share one layout: those of one product, and of products that share a weight.
struct Item {
  std::vector<int32_t> weights;
  int64_t plain_bytes = 0;
  std::vector<Option> options;  // the first is what lies there without a choice
};

// Which product's weights form which item.
class Items {
 public:
  Items(const Program& program, int32_t entry) : by_node_(program.nodes.size(), -1) {
    std::map<int32_t, int32_t> by_weight;
    for (size_t n = 0; n < program.nodes.size(); ++n) {
      const Node& node = program.nodes[n];
      if (node.op != Linear::kOp || node.entry != entry) continue;
      int32_t item = -1;
      for (size_t p = 0; p < node.weights.size(); p += 2)
        if (const auto at = by_weight.find(node.weights[p]); at != by_weight.end()) item = at->second;
      if (item < 0) item = static_cast<int32_t>(items.size()), items.emplace_back();
      by_node_[n] = item;
      for (size_t p = 0; p < node.weights.size(); p += 2) {
        if (node.weights[p] < 0 || !by_weight.emplace(node.weights[p], item).second) continue;
        items[static_cast<size_t>(item)].weights.push_back(node.weights[p]);
        const WeightInfo info = weight_info(program, node.weights[p]);
        items[static_cast<size_t>(item)].plain_bytes += info.outputs() * info.inputs() * size_of(info.dtype);
      }
    }
  }
  Item* of_node(int32_t node) {
    const int32_t item = by_node_[static_cast<size_t>(node)];
    return item < 0 ? nullptr : &items[static_cast<size_t>(item)];
  }
  std::vector<Item> items;

 private:
  std::vector<int32_t> by_node_;
};

// Seconds that the planner weighs: measured ones as they are; an item without any by the rule; an option that was not
// measured beside others that were is taken to be slower than each of them.
void settle_costs(Item& item, const DeviceRates& rates) {
  double slowest = 0;
  for (const Option& o : item.options)
    if (o.measured) slowest = std::max(slowest, o.seconds);
  const double plain = static_cast<double>(item.plain_bytes) / ((rates.gb_s > 0 ? rates.gb_s : 1) * 1e9);
  for (Option& o : item.options)
    if (!o.measured) o.seconds = (slowest > 0 ? slowest : plain) * rule_cost(o.layout) * (slowest > 0 ? 1.05 : 1);
}

Result<LayoutChoice> pick(const Program& program, std::vector<Item> items, int64_t other_bytes, const LayoutAim& aim,
                          const DeviceRates& rates) {
  // Items that are alike become one, with a count.
  std::vector<LayoutItem> groups;
  std::vector<std::vector<size_t>> members;
  std::map<std::string, size_t> at;
  LayoutChoice out;
  out.measured = true;
  for (size_t i = 0; i < items.size(); ++i) {
    settle_costs(items[i], rates);
    std::string key;
    LayoutItem group{.name = program.weights[static_cast<size_t>(items[i].weights.front())].name, .options = {}};
    for (const Option& o : items[i].options) {
      key += text(o.layout, ' ', o.bytes, ' ', o.seconds, '\n');
      group.options.push_back({o.layout, o.bytes, o.seconds});
      out.measured = out.measured && o.measured;
    }
    const auto [found, fresh] = at.try_emplace(key, groups.size());
    if (fresh) groups.push_back(std::move(group)), members.emplace_back();
    if (!fresh) ++groups[found->second].count;
    members[found->second].push_back(i);
  }
  const PlanObjective objective = aim.objective == Objective::memory     ? PlanObjective::memory
                                  : aim.objective == Objective::balanced ? PlanObjective::balanced
                                                                         : PlanObjective::latency;
  const int64_t budget = aim.weight_bytes > 0 ? std::max<int64_t>(1, aim.weight_bytes - other_bytes) : 0;
  auto plan = plan_layouts(groups, budget, objective);
  if (!plan.ok()) {
    if (plan.status().code() != Code::exhausted) return std::move(plan).status();
    auto smallest = plan_layouts(groups, 0, PlanObjective::memory);
    return failure(Code::exhausted, "the weights need at least ", smallest.ok() ? smallest->bytes + other_bytes : 0,
                   " bytes in the smallest layouts of all matrices, there are ", aim.weight_bytes, " for them");
  }
  out.layouts.resize(program.weights.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    auto member = members[g].begin();
    for (size_t o = 0; o < groups[g].options.size(); ++o)
      for (int64_t n = 0; n < plan->taken[g][o]; ++n, ++member)
        for (const int32_t w : items[*member].weights)
          out.layouts[static_cast<size_t>(w)] = groups[g].options[o].layout;
  }
  out.seconds = plan->seconds, out.least_seconds = plan->least_seconds;
  return out;
}

const Bucket& bucket_for(std::span<const Bucket> buckets, int64_t rows) {
  const auto at = std::ranges::find_if(buckets, [&](const Bucket& b) { return b.tokens >= rows; });
  return at == buckets.end() ? buckets.back() : *at;
}

// One way to lay all products: what each node then costs. Nothing when kernels cannot take it.
struct Laid {
  Settlement settlement;
  std::map<int32_t, std::pair<double, bool>> by_node;  // weighted seconds, measured at every point
};
std::optional<Laid> lay(const PlanContext& context, std::span<const Bucket> buckets, std::vector<std::string> chosen,
                        const LayoutAim& aim, const TuningStore* tuning, const DeviceRates& rates) {
  PlanContext with = context;
  with.chosen_layouts = chosen;
  auto settlement = settle(with, buckets);
  if (!settlement.ok()) return std::nullopt;
  Laid out{std::move(*settlement), {}};
  for (const BatchShare& share : aim.shares()) {
    const Bucket& bucket = bucket_for(buckets, share.rows);
    auto plan = make_plan(with, out.settlement, bucket);
    if (!plan.ok()) return std::nullopt;
    const StepCase what = case_of(std::min(share.rows, bucket.tokens), bucket.sequences);
    for (const PlanStep& step : plan->steps) {
      if (step.problem.first().op != Linear::kOp) continue;
      const StepTime time = time_of(step, context.program, out.settlement, context.registry, tuning, rates, what);
      const auto [at, fresh] = out.by_node.try_emplace(step.nodes.front(), 0.0, true);
      at->second.first += share.share * time.seconds;
      at->second.second = at->second.second && time.measured;
    }
  }
  return out;
}

// Every weight of a product in this layout, where the layout takes it.
std::vector<std::string> everything_in(const Layout& layout, const Program& program) {
  std::vector<std::string> out(program.weights.size());
  for (const Node& node : program.nodes)
    for (size_t p = 0; node.op == Linear::kOp && p < node.weights.size(); p += 2)
      if (const int32_t w = node.weights[p]; w >= 0 && layout.supports(weight_info(program, w)))
        out[static_cast<size_t>(w)] = layout.id();
  return out;
}

void add_options(const PlanContext& context, const Laid& laid, const Laid& base, Items& items) {
  for (auto& item : items.items) item.options.emplace_back();
  std::vector<bool> out(items.items.size());
  for (const auto& [node, cost] : laid.by_node) {
    Item* const item = items.of_node(node);
    Option& option = item->options.back();
    const size_t index = static_cast<size_t>(item - items.items.data());
    if (option.layout.empty()) option.measured = true;
    option.seconds += cost.first, option.measured = option.measured && cost.second;
    option.layout = laid.settlement.layouts[static_cast<size_t>(item->weights.front())];
    // Another order of sums would be other bits: no choice of layouts may do that.
    if (context.deterministic &&
        laid.settlement.numerics[static_cast<size_t>(node)] != base.settlement.numerics[static_cast<size_t>(node)])
      out[index] = true;
  }
  for (size_t i = 0; i < items.items.size(); ++i) {
    Item& item = items.items[i];
    Option& option = item.options.back();
    for (const int32_t w : item.weights) {
      const std::string& id = laid.settlement.layouts[static_cast<size_t>(w)];
      const Layout* layout = context.registry.layout(id);
      out[i] = out[i] || id != option.layout || layout == nullptr;
      if (layout != nullptr) option.bytes += laid_out_bytes(context.program, w, *layout);
    }
    const auto before = std::span(item.options).first(item.options.size() - 1);
    const bool known = std::ranges::find(before, option.layout, &Option::layout) != before.end();
    if ((out[i] || known) && !before.empty()) item.options.pop_back();
  }
}

int64_t other_bytes_of(const Program& program, const Registry& registry, const Items& items,
                       const std::vector<std::string>& layouts) {
  std::vector<bool> in_items(program.weights.size());
  for (const Item& item : items.items)
    for (const int32_t w : item.weights) in_items[static_cast<size_t>(w)] = true;
  int64_t out = 0;
  for (size_t w = 0; w < program.weights.size(); ++w)
    if (const Layout* layout = in_items[w] ? nullptr : registry.layout(layouts[w]))
      out += laid_out_bytes(program, static_cast<int32_t>(w), *layout);
  return out;
}

}  // namespace

std::vector<BatchShare> LayoutAim::shares() const {
  if (objective == Objective::mix && !mix.empty()) return mix;
  if (objective != Objective::throughput) return {{1, 1.0}};
  if (step_tokens <= sequences) return {{step_tokens, 1.0}};
  // Steps a token of either kind.
  const double answers = 1 / static_cast<double>(sequences), prompts = kPromptTokens / static_cast<double>(step_tokens);
  return {{sequences, answers / (answers + prompts)}, {step_tokens, prompts / (answers + prompts)}};
}

double rule_cost(std::string_view layout) noexcept {
  const std::string_view code = layout.substr(0, layout.find('/'));
  return code == "dense" ? 1 : code == "w12" ? 1.02 : code == "w11" ? 1.12 : 1.25;
}

Result<LayoutChoice> choose_layouts(const PlanContext& context, std::span<const Bucket> buckets, const LayoutAim& aim,
                                    const TuningStore* tuning, const DeviceRates& rates) {
  Items items(context.program, context.entry);
  const auto base = lay(context, buckets, {}, aim, tuning, rates);
  if (!base) {  // its own words say why
    TARE_ASSIGN_OR_RETURN(const Settlement settlement, settle(context, buckets));
    return LayoutChoice{.layouts = settlement.layouts};
  }
  add_options(context, *base, *base, items);
  for (const Layout* layout : context.registry.layouts()) {
    if (!layout->device_kind().empty() && layout->device_kind() != context.device.kind) continue;
    if (layout->id().ends_with("/rows")) continue;  // the oracle's own
    if (const auto laid = lay(context, buckets, everything_in(*layout, context.program), aim, tuning, rates))
      add_options(context, *laid, *base, items);
  }
  const int64_t other = other_bytes_of(context.program, context.registry, items, base->settlement.layouts);
  return pick(context.program, std::move(items.items), other, aim, rates);
}

Result<LayoutChoice> choose_codes(const Program& program, const Registry& registry, const LayoutAim& aim,
                                  const DeviceRates& rates, const std::string& asked) {
  Items items(program, 0);
  for (Item& item : items.items)
    for (const Layout* layout : registry.layouts()) {
      const std::string_view id = layout->id(), code = id.substr(0, id.find('/'));
      const bool dense = code == "dense";
      if (dense && id != "dense/rows") continue;
      const auto known = std::ranges::find_if(item.options, [&](const Option& o) {
        return std::string_view(o.layout).substr(0, o.layout.find('/')) == code;
      });
      if (known != item.options.end() || (!asked.empty() && asked != id && asked != code)) continue;
      Option option{.layout = std::string(id)};
      bool all = true;
      for (const int32_t w : item.weights) {
        all = all && bool(layout->supports(weight_info(program, w)));
        if (all) option.bytes += laid_out_bytes(program, w, *layout);
      }
      if (all) item.options.push_back(std::move(option));
    }
  const std::vector<std::string> rows(program.weights.size(), "dense/rows");
  const int64_t other = other_bytes_of(program, registry, items, rows);
  TARE_ASSIGN_OR_RETURN(LayoutChoice out, pick(program, std::move(items.items), other, aim, rates));
  for (std::string& layout : out.layouts)
    if (layout.empty()) layout = "dense/rows";
  return out;
}

}  // namespace tare
