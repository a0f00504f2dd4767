// Registry: all kernels and layouts of all loaded plugins, as an ordered table that one can read: in order of
// registration, references last. It owns nothing; the plugin host keeps the objects alive longer. Filled once by the
// loader, then const and [any thread].
#pragma once
#include <string_view>
#include <vector>

#include "core/api/kernel.hpp"

namespace tare {

class Registry {
 public:
  Registry() = default;
  Registry(std::span<const KernelCandidate* const> kernels, std::span<const Layout* const> layouts);

  std::span<const KernelCandidate* const> kernels() const noexcept { return kernels_; }
  std::span<const Layout* const> layouts() const noexcept { return layouts_; }
  // Null when no plugin brought it.
  const Layout* layout(std::string_view id) const noexcept;
  const KernelCandidate* kernel(std::string_view id) const noexcept;
  // Candidates of a device kind whose chain begins with `op`, longest chains first, then in the table's order.
  std::vector<const KernelCandidate*> beginning_with(std::string_view device_kind, std::string_view op) const;

 private:
  std::vector<const KernelCandidate*> kernels_;
  std::vector<const Layout*> layouts_;
};

}  // namespace tare
