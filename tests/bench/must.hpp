// For measuring programs: what failed is told in one sentence and ends the process. [any thread]
#pragma once
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/api/status.hpp"

namespace tare {

inline void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "bench: %s\n", status.message().c_str());
  std::exit(1);
}
template <class T>
T must(Result<T> result) {
  must(result.ok() ? Status() : result.status());
  return std::move(result).value();
}

}  // namespace tare
