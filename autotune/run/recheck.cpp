#include "autotune/run/recheck.hpp"

#include "autotune/run/stopwatch.hpp"
#include "autotune/run/wall_timer.hpp"

namespace tare {
namespace {

constexpr StoppingRule kRule{.least = 21, .most = 201, .spread = 0.004, .seconds = 0.5, .hopeless = 2};

Result<CheckedChoice> check_one(ProblemBench& bench, LaunchTimer& timer, const TuningEntry& entry,
                                const Contestant& standard, const KernelCandidate& kernel) {
  const KernelConfig* config = nullptr;
  const auto space = kernel.space(at_rows(bench.problem(), entry.key.rows));
  for (const KernelConfig& one : space)
    if (to_string(one) == entry.value.config) config = &one;
  const KernelConfig fallback = kernel.fallback(at_rows(bench.problem(), entry.key.rows));
  if (config == nullptr && to_string(fallback) == entry.value.config) config = &fallback;
  if (config == nullptr) return failure(Code::not_found, "no kernel offers ", entry.value.config);
  const int64_t rows = entry.key.rows;
  TARE_ASSIGN_OR_RETURN(const auto chosen, bench.prepare(kernel, *config, rows));
  TARE_ASSIGN_OR_RETURN(const auto first, bench.prepare(*standard.kernel, standard.config, rows));
  Stopwatch watch(bench, timer);
  const ProblemBench::Prepared* const both[] = {&first, &chosen};
  for (const auto* one : both) TARE_RETURN_IF_ERROR(watch.unit(*one, rows, 1)());
  TARE_ASSIGN_OR_RETURN(const auto once, watch.time(both, rows, {.least = 2, .most = 2}, 1));
  TARE_ASSIGN_OR_RETURN(const auto times, watch.time(both, rows, kRule, Stopwatch::launches_for(once[0].best)));
  const double scale = times[0].median > 0 ? 1 / times[0].median : 0;
  return CheckedChoice{
      .key = entry.key,
      .chosen = entry.value.kernel + " " + entry.value.config,
      .standard = standard.name(),
      .then = entry.value.baseline_us > 0 ? entry.value.us / entry.value.baseline_us : 0,
      .now = times[1].median * scale,
      .noise = std::max({noise_of(times[0]), noise_of(times[1]), kLeastGain * times[0].median}) * scale};
}

}  // namespace

Result<CheckedChoices> check_choices(Device& device, const DeviceInfo& info, const Registry& registry,
                                     std::span<const TuningProblem> problems, const TuningDatabase& database,
                                     const TunerOptions& options) {
  WallTimer wall;
  LaunchTimer& timer = options.timer != nullptr ? *options.timer : timer_of(device, wall);
  TARE_ASSIGN_OR_RETURN(const std::vector<TuningEntry> entries, database.entries(info.sku));
  BenchMemory memory;
  memory.data = options.data;
  CheckedChoices out;
  int64_t done = 0;
  for (const TuningProblem& p : problems)
    for (const std::string& layout : layouts_of(registry, p.problem, options.layouts)) {
      std::unique_ptr<ProblemBench> bench;
      for (const int64_t rows : p.points) {
        if (options.stopped && options.stopped()) return out;
        if (options.progress) options.progress({done++, std::ssize(entries), text(layout, " of ", p.printed)});
        bool found = false;
        for (const TuningEntry& entry : entries) {
          if (entry.key.problem != p.printed || entry.key.layout != layout || entry.key.rows != rows) continue;
          const KernelCandidate* const kernel = registry.kernel(entry.value.kernel);
          const auto standard = default_for(registry, at_rows(p.problem, rows), layout, entry.key.numerics);
          if (kernel == nullptr || kernel->hash() != entry.value.hash || !standard) continue;
          found = true;
          if (standard->name() == entry.value.kernel + " " + entry.value.config) {
            ++out.defaults;
            continue;
          }
          if (bench == nullptr) {
            TARE_ASSIGN_OR_RETURN(bench, ProblemBench::create(device, registry, p.problem, layout, p.points.back(),
                                                              options.cold_bytes, memory));
          }
          auto one = check_one(*bench, timer, entry, *standard, *kernel);
          if (one.status().code() == Code::not_found) continue;  // a config that is gone
          if (!one.ok()) return std::move(one).status();
          out.choices.push_back(std::move(*one));
        }
        if (!found) ++out.missing;
      }
    }
  return out;
}

}  // namespace tare
