// The CPU device's threads (cpu_parallel/1). A run is cut into one piece a thread beforehand; the caller takes the
// first piece. Between runs a worker looks for work for some microseconds, since the next product of a step follows at
// once, and then sleeps in the kernel, so that an idle process costs nothing. Thread rule: runs from several threads
// queue up.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/api/device.hpp"
#include "core/api/status.hpp"

namespace tare::cpu {

class ThreadPool final : public CpuParallel {
 public:
  // Starts threads - 1 workers; fails where the system gives none.
  static Result<std::unique_ptr<ThreadPool>> create(int32_t threads);
  ~ThreadPool() override;

  int32_t threads() const noexcept override { return static_cast<int32_t>(workers_.size()) + 1; }
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t, int32_t)>& body) override;

 private:
  // A line of cache each, so that waking one disturbs no other.
  struct alignas(64) Worker {
    std::atomic<uint32_t> ticket = 0;  // goes up by one for each piece of work, and for the end
    std::thread thread;
  };
  ThreadPool() = default;
  void work(Worker& worker, int32_t index);

  std::vector<std::unique_ptr<Worker>> workers_;
  std::mutex run_mutex_;  // one run at a time
  // The run under way: written before tickets go up, read after.
  const std::function<void(int64_t, int64_t, int32_t)>* body_ = nullptr;
  int64_t count_ = 0, pieces_ = 0;
  bool stop_ = false;
  alignas(64) std::atomic<uint32_t> remaining_ = 0;
};

}  // namespace tare::cpu
