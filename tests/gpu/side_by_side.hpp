// Parts of a test that run at once on one GPU: its kernels take longer to compile than to run. A part may use every
// assertion; what a failed one throws leaves run().
#pragma once
#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <thread>
#include <vector>

namespace tare::gpu_test {

class SideBySide {
 public:
  void add(std::function<void()> part) { parts_.push_back(std::move(part)); }
  void run() {
    std::atomic<size_t> next = 0;
    std::vector<std::future<void>> workers;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
      workers.push_back(std::async(std::launch::async, [&] {
        for (size_t at = next++; at < parts_.size(); at = next++) parts_[at]();
      }));
    for (std::future<void>& worker : workers) worker.get();
    parts_.clear();
  }

 private:
  std::vector<std::function<void()>> parts_;
};

}  // namespace tare::gpu_test
