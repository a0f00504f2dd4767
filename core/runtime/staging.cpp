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

Result<std::unique_ptr<Uploader>> Uploader::create(Device& device) {
  auto out = std::unique_ptr<Uploader>(new Uploader(device));
  TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  return out;
}

Result<std::byte*> Uploader::room(Slot& slot) {
  if (slot.sent != nullptr) TARE_RETURN_IF_ERROR(slot.sent->wait());
  if (slot.pinned != nullptr) return static_cast<std::byte*>(slot.pinned->data());
  if (auto* pinned = static_cast<PinnedMemory*>(device_.query(PinnedMemory::kInterface))) {
    TARE_ASSIGN_OR_RETURN(slot.pinned, pinned->allocate_pinned(kChunkBytes));
    return static_cast<std::byte*>(slot.pinned->data());
  }
  slot.pageable.resize(kChunkBytes);
  return slot.pageable.data();
}

Status Uploader::copy(void* to_device, const void* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kChunkBytes) {
    const size_t n = std::min(kChunkBytes, bytes - at);
    Slot& slot = slots_[now_];
    now_ = 1 - now_;
    TARE_ASSIGN_OR_RETURN(std::byte* const place, room(slot));
    std::memcpy(place, static_cast<const std::byte*>(from) + at, n);
    TARE_RETURN_IF_ERROR(device_.copy_in(*stream_, static_cast<std::byte*>(to_device) + at, place, n));
    TARE_ASSIGN_OR_RETURN(slot.sent, stream_->record());
  }
  return {};
}

Status Uploader::finish() { return stream_->synchronize(); }

}  // namespace tare
