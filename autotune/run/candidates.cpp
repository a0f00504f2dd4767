#include "autotune/run/candidates.hpp"

#include <algorithm>
#include <set>

#include "autotune/store/entry.hpp"

namespace tare {
namespace {

struct SettledMatrices {
  const Problem& problem;
  std::string_view layout;
  static std::string_view look(const void* context, size_t op, size_t position) {
    const auto& self = *static_cast<const SettledMatrices*>(context);
    return is_matrix(self.problem.ops[op], position) ? self.layout : std::string_view();
  }
};

std::vector<const KernelCandidate*> kernels_for(const Registry& registry, const Problem& problem) {
  std::vector<const KernelCandidate*> out = registry.beginning_with(problem.device_kind, problem.first().op);
  const auto chain = chain_of(problem);
  std::erase_if(out, [&](const KernelCandidate* k) { return k->is_reference() || k->takes() != chain; });
  return out;
}
bool fits_here(const KernelCandidate& kernel, const Problem& problem, std::string_view layout,
               std::string_view numerics) {
  const SettledMatrices settled{problem, layout};
  return static_cast<bool>(fits(kernel, problem,
                                {.numerics = std::string(numerics),
                                 .deterministic = true,
                                 .references_only = false,
                                 .settled = SettledMatrices::look,
                                 .context = &settled}));
}
bool is_plain(std::string_view layout) { return layout.starts_with("dense/"); }

}  // namespace

std::optional<Contestant> default_for(const Registry& registry, const Problem& problem, std::string_view layout,
                                      std::string_view numerics) {
  for (const KernelCandidate* kernel : kernels_for(registry, problem))
    if (fits_here(*kernel, problem, layout, numerics)) return Contestant{kernel, kernel->fallback(problem)};
  return std::nullopt;
}

std::vector<Contestant> contestants_for(const Registry& registry, const Problem& problem, std::string_view layout,
                                        std::string_view numerics) {
  std::vector<Contestant> out;
  for (const KernelCandidate* kernel : kernels_for(registry, problem)) {
    if (!fits_here(*kernel, problem, layout, numerics)) continue;
    std::vector<KernelConfig> configs = kernel->space(problem);
    configs.insert(configs.begin(), kernel->fallback(problem));
    for (KernelConfig& config : configs) {
      if (!kernel->accepts(problem, config)) continue;
      const bool known = std::ranges::any_of(
          out, [&](const Contestant& c) { return c.kernel == kernel && to_string(c.config) == to_string(config); });
      if (!known) out.push_back({kernel, std::move(config)});
    }
  }
  return out;
}

void warm(const ProblemBench& bench, const Registry& registry, const Problem& problem, std::string_view layout,
          std::span<const int64_t> points) {
  std::vector<std::pair<Contestant, int64_t>> all;
  std::set<std::string> known;
  for (const int64_t rows : points) {
    const Problem at = at_rows(problem, rows_point(rows));
    for (const std::string& id : numerics_of(registry, problem, std::vector<int64_t>{at.rows}))
      for (Contestant& c : contestants_for(registry, at, layout, id))
        if (known.insert(c.name()).second) all.emplace_back(std::move(c), at.rows);
  }
  std::vector<ProblemBench::Wanted> wanted;
  for (const auto& [c, rows] : all) wanted.push_back({c.kernel, &c.config, rows});
  bench.warm(wanted);
}

std::vector<std::string> numerics_of(const Registry& registry, const Problem& problem,
                                     std::span<const int64_t> points) {
  std::vector<std::string> out;
  for (size_t i = 0; i < points.size(); ++i) {
    const Problem at = at_rows(problem, points[i]);
    std::vector<std::string> here;
    for (const KernelCandidate* kernel : kernels_for(registry, at))
      if (kernel->supports(at))
        if (const std::string id = kernel->numerics(at); !id.empty() && std::ranges::find(here, id) == here.end())
          here.push_back(id);
    if (i == 0)
      out = std::move(here);
    else
      std::erase_if(out, [&](const std::string& id) { return std::ranges::find(here, id) == here.end(); });
  }
  return out;
}

std::vector<std::string> layouts_of(const Registry& registry, const Problem& problem,
                                    std::span<const std::string> wanted) {
  std::vector<std::string> out;
  for (const Layout* layout : registry.layouts()) {
    const std::string id(layout->id());
    if (!layout->device_kind().empty() && layout->device_kind() != problem.device_kind) continue;
    const std::string code = id.substr(0, id.find('/'));
    if (!wanted.empty() && std::ranges::find(wanted, id) == wanted.end() &&
        std::ranges::find(wanted, code) == wanted.end())
      continue;
    bool holds = true;
    for (const ProblemOp& op : problem.ops)
      for (size_t i = 0; i < op.weights.size(); ++i)
        if (is_matrix(op, i)) holds = holds && layout->supports(*op.weights[i]);
    if (holds && default_for(registry, problem, id, "")) out.push_back(id);
  }
  std::ranges::stable_partition(out, is_plain);
  return out;
}

}  // namespace tare
