#include "core/runtime/pinned_sender.hpp"

#include <algorithm>
#include <utility>

namespace tare {

class PinnedSender::Chunk {
 public:
  std::unique_ptr<Buffer> pinned;         // null: the device offers none
  std::unique_ptr<std::byte[]> pageable;  // then this
};

PinnedSender::PinnedSender(Device& device, size_t most_chunks) : device_(device), most_chunks_(most_chunks) {}

std::byte* PinnedSender::data(Chunk& chunk) noexcept {
  return chunk.pinned != nullptr ? static_cast<std::byte*>(chunk.pinned->data()) : chunk.pageable.get();
}

Result<std::unique_ptr<PinnedSender>> PinnedSender::create(Device& device, size_t most_chunks) {
  auto out = std::unique_ptr<PinnedSender>(new PinnedSender(device, most_chunks));
  TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  out->thread_ = std::thread([sender = out.get()] { sender->work(); });
  return out;
}

PinnedSender::~PinnedSender() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = stopped_ = true;
  }
  filled_.notify_all();
  room_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PinnedSender::finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = stopped_ = true;
  }
  filled_.notify_all();
}

void PinnedSender::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  room_.notify_all();
}

Result<std::unique_ptr<PinnedSender::Chunk>> PinnedSender::make() const {
  auto out = std::make_unique<Chunk>();
  if (auto* pinned = static_cast<PinnedMemory*>(device_.query(PinnedMemory::kInterface))) {
    TARE_ASSIGN_OR_RETURN(out->pinned, pinned->allocate_pinned(static_cast<size_t>(kChunkBytes)));
  } else {
    out->pageable.reset(new std::byte[static_cast<size_t>(kChunkBytes)]);
  }
  return out;
}

Result<PinnedSender::Chunk*> PinnedSender::room() {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return stopped_ || !free_.empty() || made_ < most_chunks_; });
  if (stopped_) return failure(Code::unavailable, "sending to the device has stopped");
  if (!free_.empty()) {
    Chunk* const out = free_.back();  // the one that was used last is in some cache
    free_.pop_back();
    return out;
  }
  ++made_;
  lock.unlock();  // pinning takes as long as filling it: by all threads at once
  auto made = make();
  lock.lock();
  if (!made.ok()) {
    --made_;
    return std::move(made).status();
  }
  chunks_.push_back(std::move(*made));
  return chunks_.back().get();
}

void PinnedSender::give_back(Chunk& chunk) {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(&chunk);
  }
  room_.notify_one();
}

void PinnedSender::send(Chunk& chunk, void* to_device, int64_t bytes, Arrived arrived) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({&chunk, to_device, bytes, std::move(arrived), nullptr, {}});
  }
  filled_.notify_one();
}

void PinnedSender::start(Sent& one) {
  one.status = device_.copy_in(*stream_, one.to, data(*one.chunk), static_cast<size_t>(one.bytes));
  if (!one.status.ok()) return;
  auto behind = stream_->record();
  if (behind.ok()) {
    one.behind = std::move(*behind);
    return;
  }
  one.status = std::move(behind).status();
  static_cast<void>(stream_->synchronize().ok());  // nothing tells otherwise when its memory may be used again
}

// Unpinning takes its time; here it passes while the device works on the last weights.
void PinnedSender::free_spare(std::unique_lock<std::mutex>& lock) {
  std::vector<std::unique_ptr<Chunk>> spare;
  for (Chunk* const chunk : std::exchange(free_, {})) {
    const auto at = std::ranges::find(chunks_, chunk, [](const auto& c) { return c.get(); });
    spare.push_back(std::move(*at));
    chunks_.erase(at);
  }
  lock.unlock();
  spare.clear();
  lock.lock();
}

void PinnedSender::work() {
  std::deque<Sent> under_way;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (finished_ && !free_.empty()) free_spare(lock);
    if (under_way.empty())
      filled_.wait(lock, [&] { return ending_ || !queue_.empty() || (finished_ && !free_.empty()); });
    if (under_way.empty() && queue_.empty()) {
      if (ending_) break;
      continue;
    }
    std::deque<Sent> fresh = std::exchange(queue_, {});
    lock.unlock();
    for (Sent& one : fresh) {
      start(one);
      under_way.push_back(std::move(one));
    }
    // The others are behind the oldest one, so the bus has work while this waits.
    if (!under_way.empty()) {
      Sent oldest = std::move(under_way.front());
      under_way.pop_front();
      if (oldest.behind != nullptr) oldest.status = oldest.behind->wait();
      give_back(*oldest.chunk);
      oldest.arrived(std::move(oldest.status));
    }
    lock.lock();
  }
}

}  // namespace tare
