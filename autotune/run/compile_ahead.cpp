#include "autotune/run/compile_ahead.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "autotune/run/candidates.hpp"
#include "autotune/store/entry.hpp"
#include "core/base/parallel.hpp"

namespace tare {
namespace {

constexpr int kFreeCores = 2;  // beside a search: the thread that measures, and the driver's

void add(AheadList& list, std::set<std::string>& known, Contestant c, const TuningProblem& p, const std::string& layout,
         int64_t rows) {
  if (known.insert(c.name()).second)
    list.candidates.push_back({c.kernel, std::move(c.config), &p.problem, layout, rows});
}

// The kernels whose bits others are compared with, and a row alone.
void add_judges(AheadList& list, const Registry& registry, const TuningProblem& p) {
  for (const std::string& plain : layouts_of(registry, p.problem, std::vector<std::string>{"dense"})) {
    std::set<std::string> known;
    for (const int64_t point : p.points)
      for (const std::string& id : numerics_of(registry, p.problem, std::vector<int64_t>{point}))
        if (auto judge = default_for(registry, at_rows(p.problem, point), plain, id))
          add(list, known, std::move(*judge), p, plain, point);
  }
}

Status bind(Device& compiler, const Registry& registry, const AheadCandidate& c, const UsualHead& usual_head) {
  const Problem problem = at_rows(*c.problem, c.rows);
  TARE_ASSIGN_OR_RETURN(const auto instance, c.kernel->instance(compiler, problem, c.config));
  std::vector<std::vector<std::byte>> heads;
  std::vector<std::unique_ptr<Buffer>> rooms;
  std::vector<WeightView> views;
  for (const ProblemOp& op : problem.ops)
    for (size_t i = 0; i < op.weights.size(); ++i) {
      WeightView& view = views.emplace_back();
      if (!op.weights[i]) continue;
      const WeightInfo& info = *op.weights[i];
      const bool matrix = is_matrix(op, i);
      const Layout* const layout = registry.layout(matrix ? c.layout : "dense/rows");
      if (layout == nullptr) return failure(Code::unsupported, "no plugin brings the layout of ", info.name);
      heads.push_back(matrix && usual_head ? usual_head(info, c.layout) : std::vector<std::byte>());
      view = {.data = nullptr,
              .bytes = layout->bytes(info),
              .layout = layout->id(),
              .info = &info,
              .decoder = layout,
              .head = heads.back().empty() ? nullptr : heads.back().data()};
      TARE_ASSIGN_OR_RETURN(auto room, compiler.allocate(static_cast<size_t>(view.bytes), Purpose::weights, "ahead"));
      view.data = room->data();
      rooms.push_back(std::move(room));
    }
  return instance->bind(views);
}

}  // namespace

AheadList ahead_list(const Registry& registry, std::span<const TuningProblem> problems,
                     std::span<const std::string> wanted) {
  AheadList out;
  std::vector<std::string> layouts;
  for (const TuningProblem& p : problems)
    for (std::string& layout : layouts_of(registry, p.problem, wanted))
      if (std::ranges::find(layouts, layout) == layouts.end()) layouts.push_back(std::move(layout));
  std::ranges::stable_partition(layouts, [](const std::string& l) { return l.starts_with("dense/"); });
  bool first = true;
  for (const std::string& layout : layouts) {
    for (const TuningProblem& p : problems) {
      const auto fitting = layouts_of(registry, p.problem, wanted);
      if (std::ranges::find(fitting, layout) == fitting.end()) continue;
      if (first) add_judges(out, registry, p);
      std::set<std::string> known;
      for (const int64_t point : p.points) {
        ++out.choices;
        const Problem at = at_rows(p.problem, point);
        for (const std::string& id : numerics_of(registry, p.problem, std::vector<int64_t>{point}))
          for (Contestant& c : contestants_for(registry, at, layout, id)) {
            ++out.measured;
            add(out, known, std::move(c), p, layout, point);
          }
      }
    }
    first = false;
  }
  return out;
}

std::vector<AheadCandidate> plain_defaults(const Registry& registry, std::span<const TuningProblem> problems) {
  AheadList out;
  for (const TuningProblem& p : problems) add_judges(out, registry, p);
  return std::move(out.candidates);
}

AheadOutcome compile_ahead(Device& compiler, const Registry& registry, std::span<const AheadCandidate> candidates,
                           const AheadOptions& options) {
  AheadOutcome out;
  std::mutex mutex;  // guards `out`
  static_cast<void>(parallel_for(candidates.size(), options.threads, [&](size_t i) -> Status {
    if (options.stopped && options.stopped()) return failure(Code::cancelled, "stopped");
    const AheadCandidate& c = candidates[i];
    const Status bound = bind(compiler, registry, c, options.head);
    const std::lock_guard lock(mutex);
    ++(bound.ok() ? out.bound : out.refused);
    if (!bound.ok() && out.first_refusal.empty())
      out.first_refusal = text(c.kernel->id(), " ", to_string(c.config), ": ", bound.message());
    if (options.progress) options.progress(out.bound + out.refused);
    return {};
  }));
  return out;
}

std::unique_ptr<CompileAhead> CompileAhead::start(const DeviceInfo& info, const Registry& registry,
                                                  std::span<const TuningProblem> problems,
                                                  std::span<const std::string> layouts, UsualHead head) {
  auto compiler = jit::make_compile_only_device(info);
  if (!compiler.ok()) return nullptr;
  auto out = std::unique_ptr<CompileAhead>(new CompileAhead());
  out->compiler_ = std::move(*compiler);
  out->thread_ = std::thread([self = out.get(), &registry, problems, layouts, head = std::move(head)] {
    const AheadList list = ahead_list(registry, problems, layouts);
    compile_ahead(*self->compiler_, registry, list.candidates,
                  {.threads = std::max(1, threads_of(0) - kFreeCores),
                   .head = head,
                   .stopped = [self] { return self->let_go_.load(); },
                   .progress = {}});
  });
  return out;
}

CompileAhead::~CompileAhead() {
  let_go_ = true;
  thread_.join();
}

}  // namespace tare
