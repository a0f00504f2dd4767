#include "core/base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace tare {

static constexpr unsigned kMostThreads = 32;

int threads_of(int threads) noexcept {
  const unsigned wanted =
      threads > 0 ? static_cast<unsigned>(threads) : std::max(1u, std::thread::hardware_concurrency());
  return static_cast<int>(std::min(wanted, kMostThreads));
}

Status parallel_for(size_t count, int threads, const std::function<Status(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status first;
  const auto run = [&] {
    for (size_t i; (i = next.fetch_add(1)) < count;) {
      Status status = work(i);
      if (status.ok()) continue;
      const std::lock_guard lock(mutex);
      if (first.ok()) first = std::move(status);
      next = count;
    }
  };
  std::vector<std::jthread> others;
  for (size_t t = 1; t < std::min(static_cast<size_t>(threads_of(threads)), count); ++t) others.emplace_back(run);
  run();
  others.clear();
  return first;
}

}  // namespace tare
