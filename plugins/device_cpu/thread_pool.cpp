#include "plugins/device_cpu/thread_pool.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>

namespace tare::cpu {
namespace {

// Long enough to bridge the norms and additions between two products (a wake-up through the kernel costs 20 to 50
// microseconds on a virtual machine), short enough to be nothing once a step is over.
constexpr std::chrono::microseconds kSpin{50};

void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Returns when `word` is no longer `old`: looks for kSpin, then sleeps.
void wait_while(const std::atomic<uint32_t>& word, uint32_t old) noexcept {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (word.load(std::memory_order_acquire) != old) return;
      relax();
    }
  } while (std::chrono::steady_clock::now() < until);
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

}  // namespace

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int32_t threads) {
  std::unique_ptr<ThreadPool> pool(new ThreadPool);
  for (int32_t i = 1; i < threads; ++i) {
    auto worker = std::make_unique<Worker>();
    try {
      worker->thread = std::thread([p = pool.get(), w = worker.get(), i] { p->work(*w, i); });
    } catch (const std::system_error& error) {
      return failure(Code::exhausted, "cpu: thread ", i + 1, " of ", threads, " could not be started: ", error.what());
    }
    pool->workers_.push_back(std::move(worker));
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  for (auto& worker : workers_) {
    worker->ticket.fetch_add(1, std::memory_order_release);
    worker->ticket.notify_one();
  }
  for (auto& worker : workers_) worker->thread.join();
}

void ThreadPool::run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t, int32_t)>& body) {
  if (count <= 0) return;
  const int64_t pieces = std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, threads());
  if (pieces == 1) return body(0, count, 0);
  const std::lock_guard lock(run_mutex_);
  body_ = &body, count_ = count, pieces_ = pieces;
  remaining_.store(static_cast<uint32_t>(pieces - 1), std::memory_order_relaxed);
  for (int64_t i = 1; i < pieces; ++i) {
    Worker& worker = *workers_[static_cast<size_t>(i - 1)];
    worker.ticket.fetch_add(1, std::memory_order_release);
    worker.ticket.notify_one();
  }
  body(0, count / pieces, 0);
  for (uint32_t left; (left = remaining_.load(std::memory_order_acquire)) != 0;) wait_while(remaining_, left);
}

void ThreadPool::work(Worker& worker, int32_t index) {
  for (uint32_t seen = 0;; ++seen) {
    wait_while(worker.ticket, seen);
    if (stop_) return;
    (*body_)(count_* index / pieces_, count_ * (index + 1) / pieces_, index);
    if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) remaining_.notify_one();
  }
}

}  // namespace tare::cpu
