#include "core/registry/registry.hpp"

#include <algorithm>

namespace tare {

Registry::Registry(std::span<const KernelCandidate* const> kernels, std::span<const Layout* const> layouts)
    : kernels_(kernels.begin(), kernels.end()), layouts_(layouts.begin(), layouts.end()) {
  std::ranges::stable_partition(kernels_, [](const KernelCandidate* k) { return !k->is_reference(); });
}

const Layout* Registry::layout(std::string_view id) const noexcept {
  const auto at = std::ranges::find(layouts_, id, &Layout::id);
  return at == layouts_.end() ? nullptr : *at;
}
const KernelCandidate* Registry::kernel(std::string_view id) const noexcept {
  const auto at = std::ranges::find(kernels_, id, &KernelCandidate::id);
  return at == kernels_.end() ? nullptr : *at;
}

std::vector<const KernelCandidate*> Registry::beginning_with(std::string_view device_kind, std::string_view op) const {
  std::vector<const KernelCandidate*> out;
  for (const KernelCandidate* k : kernels_)
    if (k->device_kind() == device_kind && !k->takes().empty() && k->takes().front() == op) out.push_back(k);
  std::ranges::stable_sort(out, [](auto* a, auto* b) { return a->takes().size() > b->takes().size(); });
  return out;
}

}  // namespace tare
