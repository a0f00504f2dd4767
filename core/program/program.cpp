#include "core/program/program.hpp"

namespace tare {

std::optional<int64_t> checked_elements(const Shape& shape) noexcept {
  int64_t count = 1;
  for (const Dim& dim : shape) {
    if (dim.size < 1 || dim.size > kMaxElements / count) return std::nullopt;
    count *= dim.size;
  }
  return count;
}

std::string_view within(std::string_view name, std::string_view scope) noexcept {
  if (name.starts_with(scope)) name.remove_prefix(scope.size());
  return name;
}

}  // namespace tare
