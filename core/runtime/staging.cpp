#include "core/runtime/staging.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

namespace tare {
namespace {

// Threads are started for each run(): a load has few of them, each long. Pieces are `grain` long and dealt out as
// threads come; where the cut lies does not depend on them.
class HostThreads final : public CpuParallel {
 public:
  explicit HostThreads(int32_t threads) : threads_(threads) {}
  int32_t threads() const noexcept override { return threads_; }
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t, int32_t)>& body) override {
    std::atomic<int64_t> next{0};
    const auto work = [&](int32_t worker) {
      for (int64_t begin; (begin = next.fetch_add(grain)) < count;) body(begin, std::min(count, begin + grain), worker);
    };
    std::vector<std::thread> others;
    const int64_t pieces = (count + grain - 1) / std::max<int64_t>(1, grain);
    for (int32_t w = 1; w < std::min<int64_t>(threads_, pieces); ++w) others.emplace_back(work, w);
    work(0);
    for (std::thread& t : others) t.join();
  }

 private:
  const int32_t threads_;
};

}  // namespace

std::unique_ptr<CpuParallel> make_host_threads(int32_t threads) {
  if (threads <= 0) threads = static_cast<int32_t>(std::clamp(std::thread::hardware_concurrency(), 1u, 64u));
  return std::make_unique<HostThreads>(threads);
}

Result<std::unique_ptr<Uploader>> Uploader::create(Device& device, int32_t workers) {
  auto out = std::unique_ptr<Uploader>(new Uploader(device));
  TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  auto* pinned = static_cast<PinnedMemory*>(device.query(PinnedMemory::kInterface));
  out->workers_.resize(static_cast<size_t>(std::max(workers, 1)));
  for (Worker& worker : out->workers_)
    for (Slot& slot : worker.slots) {
      if (pinned == nullptr) {
        slot.pageable.resize(kChunkBytes);
        continue;
      }
      TARE_ASSIGN_OR_RETURN(slot.pinned, pinned->allocate_pinned(kChunkBytes));
    }
  return out;
}

Result<std::byte*> Uploader::room(int32_t worker) {
  Worker& w = workers_[static_cast<size_t>(worker)];
  Slot& slot = w.slots[w.now];
  if (slot.sent != nullptr) TARE_RETURN_IF_ERROR(slot.sent->wait());
  return slot.data();
}

Status Uploader::send(int32_t worker, void* to_device, size_t bytes) {
  Worker& w = workers_[static_cast<size_t>(worker)];
  Slot& slot = w.slots[w.now];
  w.now = 1 - w.now;
  const std::lock_guard lock(mutex_);
  TARE_RETURN_IF_ERROR(device_.copy_in(*stream_, to_device, slot.data(), bytes));
  TARE_ASSIGN_OR_RETURN(slot.sent, stream_->record());
  return {};
}

Status Uploader::copy(void* to_device, const void* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kChunkBytes) {
    const size_t n = std::min(kChunkBytes, bytes - at);
    TARE_ASSIGN_OR_RETURN(std::byte* const place, room(0));
    std::memcpy(place, static_cast<const std::byte*>(from) + at, n);
    TARE_RETURN_IF_ERROR(send(0, static_cast<std::byte*>(to_device) + at, n));
  }
  return {};
}

Result<std::unique_ptr<Event>> Uploader::mark() {
  const std::lock_guard lock(mutex_);
  return stream_->record();
}

Status Uploader::finish() { return stream_->synchronize(); }

}  // namespace tare
