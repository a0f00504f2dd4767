#include "core/app/step_probe.hpp"

#include <algorithm>
#include <map>

#include "autotune/run/bench.hpp"
#include "autotune/run/wall_timer.hpp"
#include "autotune/store/problem_text.hpp"
#include "core/api/ops.hpp"
#include "core/app/memory_plan.hpp"
#include "core/engine/step_input.hpp"
#include "core/runtime/state.hpp"

namespace tare {
namespace {

constexpr uint8_t kFill = 0x3c;  // 0x3c3c is 0.0115 as BF16, 0x3c3c3c3c is 0.0115 as F32: numbers as activations are
constexpr int64_t kMostStateBytes = int64_t{256} << 20;
constexpr int kLeast = 5, kMost = 25;  // launches of a kind that count, and when they have taken kEnough seconds
constexpr double kEnough = 0.06;
constexpr int64_t kTableRows = 1024;

// Steps that are alike: one instance, which one after the other is launched for.
struct Kind {
  std::vector<size_t> steps;  // of the plan
  std::unique_ptr<Instance> instance;
  std::vector<WeightView> weights;
  std::vector<WeightInfo> infos;
  std::vector<double> seconds;
  double total = 0;
  int launches = 0;
};

// The first: launches of microseconds beside another process are seldom too short and often far too long.
double quartile_of(std::vector<double> times) {
  if (times.empty()) return 0;
  const auto at = times.begin() + std::ssize(times) / 4;
  std::ranges::nth_element(times, at);
  return *at;
}

class StepProbe {
 public:
  StepProbe(Device& device, const Plan& plan, const Program& program, const Settlement& settlement,
            const Registry& registry, const StepCase& what)
      : device_(device), plan_(plan), program_(program), settlement_(settlement), registry_(registry), case_(what) {}

  Result<std::vector<double>> run(int64_t cold_bytes) {
    TARE_ASSIGN_OR_RETURN(stream_, device_.create_stream());
    TARE_RETURN_IF_ERROR(collect());
    TARE_RETURN_IF_ERROR(allocate(arena_, plan_.arena_bytes, Purpose::workspace));
    TARE_RETURN_IF_ERROR(make_states());
    make_step();
    {
      std::unique_ptr<Buffer> cold;
      TARE_RETURN_IF_ERROR(allocate(cold, cold_bytes, Purpose::workspace));
      TARE_RETURN_IF_ERROR(stream_->synchronize());
    }
    WallTimer wall;
    LaunchTimer& timer = timer_of(device_, wall);
    // In the order of a step, as long as one of them has not been launched often enough. The first launch only warms.
    for (bool more = true; more;) {
      more = false;
      for (auto& [name, kind] : kinds_) {
        if (kind.launches > kMost || (kind.launches > kLeast && kind.total > kEnough)) continue;
        const PlanStep& step = plan_.steps[kind.steps[static_cast<size_t>(kind.launches) % kind.steps.size()]];
        const double before = timer.now();
        TARE_RETURN_IF_ERROR(timer.run(*stream_, [&] { return launch(kind, step); }));
        const double seconds = timer.now() - before;
        if (kind.launches++ > 0) kind.seconds.push_back(seconds), kind.total += seconds;
        more = true;
      }
    }
    std::vector<double> out(plan_.steps.size());
    for (const auto& [name, kind] : kinds_)
      for (const size_t s : kind.steps) out[s] = quartile_of(kind.seconds);
    return out;
  }

 private:
  Status allocate(std::unique_ptr<Buffer>& buffer, int64_t bytes, Purpose purpose) {
    const auto size = static_cast<size_t>(std::max<int64_t>(1, bytes));
    TARE_ASSIGN_OR_RETURN(buffer, device_.allocate(size, purpose, "plan/probe"));
    return device_.fill(*stream_, buffer->data(), kFill, size);
  }

  // What is measured, with instances and made-up weights.
  Status collect() {
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      const PlanStep& step = plan_.steps[s];
      if (step.problem.first().op == Linear::kOp || rows_of(step) == 0) continue;
      const bool table = step.problem.first().op == Embed::kOp;
      if (table ? !device_.host_addressable()
                : !std::ranges::all_of(step.weights, [&](int32_t w) { return w < 0 || is_small(w); }))
        continue;
      std::string key = to_string(step.problem) + std::string(step.choice.kernel->id());
      if (step.state >= 0) key += to_string(program_.states[static_cast<size_t>(step.state)].kind);
      kinds_[std::move(key)].steps.push_back(s);
    }
    for (auto& [name, kind] : kinds_) {
      const PlanStep& step = plan_.steps[kind.steps.front()];
      kind.infos.reserve(step.weights.size());
      for (const int32_t w : step.weights) {
        kind.weights.emplace_back();
        if (w >= 0) TARE_RETURN_IF_ERROR(make_weight(w, kind));
      }
      if (step.problem.first().op == Embed::kOp) table_rows_ = std::min(table_rows_, kind.infos.front().outputs());
      TARE_ASSIGN_OR_RETURN(kind.instance, step.choice.kernel->instance(device_, step.problem, step.choice.config));
      TARE_RETURN_IF_ERROR(kind.instance->bind(kind.weights));
    }
    return {};
  }
  const Layout* layout_of(int32_t weight) const {
    return registry_.layout(settlement_.layouts[static_cast<size_t>(weight)]);
  }
  bool is_small(int32_t weight) const {
    const Layout* const layout = layout_of(weight);
    return layout != nullptr && layout->bytes(weight_info(program_, weight)) <= kMostProbedWeight;
  }
  // Of a table of rows, its first kTableRows stand for all: they lie as the whole does.
  Status make_weight(int32_t weight, Kind& kind) {
    WeightInfo& info = kind.infos.emplace_back(weight_info(program_, weight));
    const Layout* const layout = layout_of(weight);
    if (layout == nullptr) return failure(Code::unsupported, info.name, " lies in a layout that no plugin brings");
    if (!is_small(weight)) info.shape.front().size = std::min(info.shape.front().size, kTableRows);
    TARE_ASSIGN_OR_RETURN(const auto laid, laid_like_trained(info, *layout, 1, device_, *stream_));
    auto& buffer = weights_.emplace_back();
    TARE_RETURN_IF_ERROR(allocate(buffer, std::ssize(laid), Purpose::weights));
    TARE_RETURN_IF_ERROR(device_.copy_in(*stream_, buffer->data(), laid.data(), laid.size()));
    TARE_RETURN_IF_ERROR(stream_->synchronize());
    kind.weights.back() = {.data = buffer->data(),
                           .bytes = std::ssize(laid),
                           .layout = layout->id(),
                           .info = &info,
                           .decoder = layout,
                           .head = nullptr};
    return {};
  }

  // Some layers' states of each group, together in memory as a model has them: what a launch reads, and how large its
  // memory's pages are, is then as in a step. Twice, so that no launch that counts finds what another left in a cache.
  Status make_states() {
    groups_ = state_groups(program_, kPageTokens);
    group_of_.resize(program_.states.size());
    for (size_t g = 0; g < groups_.size(); ++g) {
      StateGroup& group = groups_[g];
      for (const int32_t s : group.states) group_of_[static_cast<size_t>(s)] = g;
      const auto layers = std::ssize(group.states);
      const int64_t layer_bytes = group.page_bytes / layers * pages();
      const int64_t kept = std::clamp<int64_t>(kMostStateBytes / 2 / std::max<int64_t>(1, layer_bytes), 1, layers);
      group.states.resize(static_cast<size_t>(kept));
      group.token_bytes = group.token_bytes / layers * kept, group.page_bytes = group.page_bytes / layers * kept;
    }
    for (size_t copy = 0; copy < 2 && !groups_.empty(); ++copy) {
      TARE_ASSIGN_OR_RETURN(
          auto state, PagedState::allocate(program_, groups_, std::vector<int32_t>(groups_.size(), pages()), device_,
                                           "plan/probe"));
      for (const StateGroup& group : groups_)
        TARE_RETURN_IF_ERROR(device_.fill(*stream_, state->view(group.states.front()).base, kFill,
                                          static_cast<size_t>(group.page_bytes * pages())));
      states_.push_back(std::move(state));
    }
    return {};
  }
  int32_t pages_each() const {
    return static_cast<int32_t>((case_.context + case_.tokens_each() + kPageTokens - 1) / kPageTokens);
  }
  int32_t pages() const { return pages_each() * static_cast<int32_t>(case_.sequences); }
  // Of a state's group, the one that was read longest ago.
  const StateView* state_for(int32_t state) {
    const auto& layers = groups_[group_of_[static_cast<size_t>(state)]].states;
    const size_t at = next_++;
    return &states_[at / layers.size() % states_.size()]->view(layers[at % layers.size()]);
  }

  // Of the rows that tables have here, all over them.
  int32_t token() { return static_cast<int32_t>(std::ssize(step_.token_ids) * 389 % table_rows_); }

  void make_step() {
    const auto each = static_cast<int32_t>(case_.tokens_each()), context = static_cast<int32_t>(case_.context);
    for (int32_t s = 0; s < case_.sequences; ++s) {
      for (int32_t t = 0; t < each; ++t) step_.token_ids.push_back(token()), step_.positions.push_back(context + t);
      step_.sequence_begin.push_back(static_cast<int32_t>(step_.token_ids.size()));
      step_.context_lengths.push_back(context + each);
      if (s >= case_.logit_rows) continue;
      step_.logit_row_tokens.push_back(static_cast<int32_t>(step_.token_ids.size()) - 1);
      step_.sampling.emplace_back().temperature = 0;
    }
    for (size_t g = 0; g < groups_.size(); ++g) {
      PageTableInput table{.stride = pages_each(), .pages = {}};
      for (int32_t p = 0; p < pages(); ++p) table.pages.push_back(p);
      step_.page_tables.push_back(std::move(table));
    }
    view_ = view_step(step_, output_, storage_);
  }

  int64_t rows_of(const PlanStep& step) const {
    int64_t rows = 0;
    for (const int32_t v : step.outputs) rows += case_.bucket().rows(info_of(v).shape);
    return rows;
  }
  const TensorInfo& info_of(int32_t value) const { return program_.values[static_cast<size_t>(value)].info; }
  TensorView view_of(int32_t value) const {
    const TensorInfo& info = info_of(value);
    TensorView view{.data = base() + plan_.values[static_cast<size_t>(value)].offset,
                    .dtype = info.dtype,
                    .rank = 0,
                    .sizes = {1, 1, 1, 1},
                    .row_stride = 0};
    for (const Dim& dim : info.shape) view.sizes[view.rank++] = dim.size;
    view.row_stride = view.row_elements();
    view.sizes[0] = case_.bucket().rows(info.shape);
    return view;
  }
  std::byte* base() const { return static_cast<std::byte*>(arena_->data()); }

  Status launch(const Kind& kind, const PlanStep& step) {
    std::vector<TensorView> inputs, outputs;
    for (const int32_t v : step.inputs) inputs.push_back(view_of(v));
    for (const int32_t v : step.outputs) outputs.push_back(view_of(v));
    return kind.instance->launch({.device = device_,
                                  .stream = *stream_,
                                  .step = view_,
                                  .inputs = inputs,
                                  .outputs = outputs,
                                  .weights = kind.weights,
                                  .state = step.state >= 0 ? state_for(step.state) : nullptr,
                                  .scratch = {base() + step.scratch_offset, static_cast<size_t>(step.scratch_bytes)}});
  }

  Device& device_;
  const Plan& plan_;
  const Program& program_;
  const Settlement& settlement_;
  const Registry& registry_;
  const StepCase case_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Buffer> arena_;
  std::vector<std::unique_ptr<Buffer>> weights_;
  std::vector<StateGroup> groups_;
  std::vector<std::unique_ptr<PagedState>> states_;
  std::vector<size_t> group_of_;  // by state
  size_t next_ = 0;
  int64_t table_rows_ = kTableRows;
  StepInput step_;
  StepOutput output_;
  StepViewStorage storage_;
  StepView view_;
  std::map<std::string, Kind> kinds_;
};

}  // namespace

Result<std::vector<double>> probe_step(Device& device, const Plan& plan, const Program& program,
                                       const Settlement& settlement, const Registry& registry, const StepCase& what,
                                       int64_t cold_bytes) {
  if (!device.host_addressable())
    return failure(Code::unsupported, device.info().id, " reads no host memory: a step is not tried there");
  return StepProbe(device, plan, program, settlement, registry, what).run(cold_bytes);
}

}  // namespace tare
