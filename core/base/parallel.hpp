// Work over threads that ends at the first failure. [any thread]
#pragma once
#include <functional>

#include "core/api/status.hpp"

namespace tare {

// `work(i)` for i in [0, count), handed out in order, on `threads` threads (0: all cores, at most 32). The first
// failure ends it; work that has begun is finished.
Status parallel_for(size_t count, int threads, const std::function<Status(size_t)>& work);

// How many threads that is.
int threads_of(int threads) noexcept;

}  // namespace tare
