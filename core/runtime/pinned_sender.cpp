#include "core/runtime/pinned_sender.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace tare {
namespace {

// A copy of 2 MiB brings four fifths of what one of 8 MiB brings: the device pauses between copies. Longer ones would
// keep their memory from those who fill it.
constexpr int64_t kMostCopied = int64_t{8} << 20;
constexpr size_t kUnderWay = 2;     // one that travels, and one that follows without a pause
constexpr int64_t kAlignment = 16;  // that coded tiles lie at, so that chunks of theirs lie side by side
constexpr double kFastest = 64e9;   // bytes a second that no bus exceeds by much

}  // namespace

class PinnedSender::Chunk {
 public:
  enum class State { filling, filled, under_way, done };
  std::byte* data;
  int64_t bytes;
  State state = State::filling;
  std::byte* to = nullptr;
  Arrived arrived = {};
};

bool PinnedSender::is_filled(const Chunk& chunk) noexcept { return chunk.state == Chunk::State::filled; }
bool PinnedSender::is_spare() const noexcept { return finished_ && chunks_.empty() && base_ != nullptr; }

struct PinnedSender::Copy {
  std::vector<Chunk*> chunks;
  int64_t bytes = 0;
  std::unique_ptr<Event> behind;  // null: it failed
  Status status;
};

PinnedSender::PinnedSender(Device& device, int64_t bytes, std::function<void()> room)
    : device_(device), room_(std::move(room)), places_(std::max(bytes, kMostBytes), kAlignment) {}

std::byte* PinnedSender::data(Chunk& chunk) noexcept { return chunk.data; }

Result<std::unique_ptr<PinnedSender>> PinnedSender::create(Device& device, int64_t bytes, std::function<void()> room) {
  auto out = std::unique_ptr<PinnedSender>(new PinnedSender(device, bytes, std::move(room)));
  TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  out->thread_ = std::thread([sender = out.get()] { sender->work(); });
  return out;
}

PinnedSender::~PinnedSender() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  filled_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PinnedSender::finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  filled_.notify_all();
}

Status PinnedSender::make() {
  const auto bytes = static_cast<size_t>(places_.bytes());
  if (auto* offered = static_cast<PinnedMemory*>(device_.query(PinnedMemory::kInterface))) {
    TARE_ASSIGN_OR_RETURN(pinned_, offered->allocate_pinned(bytes));
  } else {
    pageable_.reset(new std::byte[bytes]);
  }
  return {};
}

Result<PinnedSender::Chunk*> PinnedSender::take(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (!failure_.ok()) return failure_;
  if (base_ == nullptr) return static_cast<Chunk*>(nullptr);
  const auto at = places_.take(bytes);
  if (!at) return static_cast<Chunk*>(nullptr);
  chunks_.push_back({.data = base_ + *at, .bytes = bytes});
  return &chunks_.back();
}

void PinnedSender::give_back(Chunk& chunk) {
  {
    const std::lock_guard lock(mutex_);
    chunk.state = Chunk::State::done;
    free_places();
  }
  filled_.notify_one();
  room_();
}

void PinnedSender::send(Chunk& chunk, std::byte* to_device, Arrived arrived) {
  {
    const std::lock_guard lock(mutex_);
    chunk.to = to_device, chunk.arrived = std::move(arrived);
    chunk.state = Chunk::State::filled;
  }
  filled_.notify_one();
}

void PinnedSender::free_places() {
  while (!chunks_.empty() && chunks_.front().state == Chunk::State::done) {
    chunks_.pop_front();
    places_.give_back_oldest();
  }
}

// The oldest that is filled, with those that lie behind it here and there.
bool PinnedSender::collect(Copy& copy) {
  auto at = std::ranges::find_if(chunks_, is_filled);
  for (; at != chunks_.end() && at->state == Chunk::State::filled; ++at) {
    if (!copy.chunks.empty()) {
      const Chunk& last = *copy.chunks.back();
      if (at->data != last.data + last.bytes || at->to != last.to + last.bytes) break;
      if (copy.bytes + at->bytes > kMostCopied) break;
    }
    at->state = Chunk::State::under_way;
    copy.chunks.push_back(&*at);
    copy.bytes += at->bytes;
  }
  return !copy.chunks.empty();
}

void PinnedSender::start(Copy& copy) {
  const Chunk& first = *copy.chunks.front();
  copy.status = device_.copy_in(*stream_, first.to, first.data, static_cast<size_t>(copy.bytes));
  if (!copy.status.ok()) return;
  auto behind = stream_->record();
  if (behind.ok()) {
    copy.behind = std::move(*behind);
    return;
  }
  copy.status = std::move(behind).status();
  static_cast<void>(stream_->synchronize().ok());  // nothing tells otherwise when its memory may be used again
}

void PinnedSender::end(Copy& copy, std::unique_lock<std::mutex>& lock) {
  if (copy.behind != nullptr) copy.status = copy.behind->wait();
  std::vector<Arrived> told;
  for (Chunk* const chunk : copy.chunks) told.push_back(std::move(chunk->arrived));
  lock.lock();
  for (Chunk* const chunk : copy.chunks) chunk->state = Chunk::State::done;
  free_places();
  lock.unlock();
  room_();
  for (const Arrived& tell : told) tell(copy.status);
}

// Half the time that what is under way takes at least: the device should not come to its end while this thread waits
// for it.
void PinnedSender::wait_for_more(std::unique_lock<std::mutex>& lock, int64_t bytes_under_way) {
  const auto until =
      std::chrono::steady_clock::now() +
      std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(bytes_under_way) / kFastest * 5e8));
  while (std::ranges::none_of(chunks_, is_filled) && std::chrono::steady_clock::now() < until) {
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
}

// Unpinning takes its time; here it passes while the device works on the last weights.
void PinnedSender::free_memory(std::unique_lock<std::mutex>& lock) {
  base_ = nullptr;
  std::unique_ptr<Buffer> pinned = std::move(pinned_);
  lock.unlock();
  pinned.reset();
  lock.lock();
}

void PinnedSender::work() {
  Status made = make();
  std::unique_lock lock(mutex_);
  failure_ = std::move(made);
  base_ = pinned_ != nullptr ? static_cast<std::byte*>(pinned_->data()) : pageable_.get();
  lock.unlock();
  room_();
  lock.lock();
  std::deque<Copy> under_way;
  for (;;) {
    if (under_way.empty())
      filled_.wait(lock, [&] { return ending_ || is_spare() || std::ranges::any_of(chunks_, is_filled); });
    else if (under_way.size() < kUnderWay)
      wait_for_more(lock, under_way.back().bytes);
    if (is_spare()) free_memory(lock);
    for (Copy copy; under_way.size() < kUnderWay && collect(copy); copy = {}) {
      lock.unlock();
      start(copy);
      under_way.push_back(std::move(copy));
      lock.lock();
    }
    if (under_way.empty()) {
      if (ending_) return;
      continue;
    }
    lock.unlock();
    end(under_way.front(), lock);
    under_way.pop_front();
    lock.lock();
  }
}

}  // namespace tare
