#include "core/runtime/weight_feed.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace tare {
namespace {

constexpr int64_t kAlignment = 256;
int64_t aligned(int64_t bytes) noexcept { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

Result<std::unique_ptr<WeightFeed>> WeightFeed::create(Device& device, int64_t count, Ring ring, std::string_view label,
                                                       std::function<Result<FeedInput>(int64_t)> open,
                                                       std::function<void(int64_t)> advance) {
  auto out = std::unique_ptr<WeightFeed>(new WeightFeed);
  out->count_ = count;
  out->ring_ = ring;
  out->ring_.bytes = aligned(ring.bytes);
  out->open_ = std::move(open), out->advance_ = std::move(advance);
  // Two cores are left to the thread that sends and to the one that takes: both wait for the device by spinning.
  const auto cores = static_cast<int32_t>(std::clamp(std::thread::hardware_concurrency(), 1u, 34u));
  const int32_t threads = std::max(2, cores - 2);
  if (ring.on_device) {
    TARE_ASSIGN_OR_RETURN(
        out->device_ring_,
        device.allocate(static_cast<size_t>(std::max(out->ring_.bytes, kAlignment)), Purpose::staging, label));
  }
  if (ring.on_host) {
    const auto room = out->host_ring_.room(std::max(out->ring_.bytes, kAlignment));
    ::madvise(room.data(), room.size(), MADV_HUGEPAGE);  // a fault for each small page would take longer than the copy
  }
  // One that each fills, and some that wait for the bus.
  TARE_ASSIGN_OR_RETURN(out->sender_, PinnedSender::create(device, static_cast<size_t>(threads) + 8));
  out->working_ = threads;
  for (int32_t w = 0; w < threads; ++w) out->threads_.emplace_back([feed = out.get()] { feed->work(); });
  return out;
}

WeightFeed::~WeightFeed() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (sender_ != nullptr) sender_->stop();
  for (std::thread& t : threads_) t.join();
  sender_.reset();  // copies may still be under way to memory that ends here
}

void WeightFeed::stop(Status why) {
  if (failure_.ok()) failure_ = std::move(why);
  stopped_ = true;
  changed_.notify_all();
  there_.notify_all();
  sender_->stop();
}

// Where so many bytes fit behind the newest entry: as one piece, never over one that is in use.
std::optional<int64_t> WeightFeed::place(int64_t bytes) const noexcept {
  if (bytes == 0) return head_;
  const auto first = std::ranges::find_if(entries_, [](const Entry& e) { return e.end > e.begin; });
  if (first == entries_.end()) return 0;
  const int64_t oldest = first->begin;
  if (head_ <= oldest) return bytes <= oldest - head_ ? std::optional(head_) : std::nullopt;
  if (head_ + bytes <= ring_.bytes) return head_;
  return bytes <= oldest ? std::optional<int64_t>(0) : std::nullopt;
}

bool WeightFeed::open_next(std::unique_lock<std::mutex>& lock) {
  opening_ = true;  // the others wait: the ring's order is that of the inputs
  const int64_t which = opened_;
  lock.unlock();
  auto input = open_(which);
  lock.lock();
  if (!input.ok()) {
    stop(std::move(input).status());
    return false;
  }
  const bool in_ring = input->to == nullptr || input->check != nullptr;
  const int64_t bytes = in_ring ? aligned(input->cuts.back()) : 0;
  if (bytes > ring_.bytes) {
    stop(failure(Code::internal, "an input of ", bytes, " bytes, the ring has ", ring_.bytes));
    return false;
  }
  changed_.wait(lock, [&] { return stopped_ || place(bytes).has_value(); });
  opening_ = false;
  if (stopped_) return false;
  const int64_t begin = *place(bytes);
  if (bytes > 0) head_ = begin + bytes;
  std::byte* to = input->to;
  if (to == nullptr) to = static_cast<std::byte*>(device_ring_->data()) + begin;
  entries_.push_back({.input = std::move(*input), .begin = begin, .end = begin + bytes, .to = to});
  ++opened_;
  changed_.notify_all();
  return true;
}

WeightFeed::Entry* WeightFeed::claim(std::unique_lock<std::mutex>& lock, size_t* chunk) {
  while (!stopped_) {
    while (filling_ < entries_.size() && entries_[filling_].claimed == entries_[filling_].chunks()) ++filling_;
    if (filling_ < entries_.size()) {
      Entry& entry = entries_[filling_];
      *chunk = entry.claimed++;
      return &entry;
    }
    if (opened_ == count_) {
      if (--working_ == 0) sender_->finish();  // no thread has anything under its hands
      return nullptr;
    }
    if (opening_)
      changed_.wait(lock);
    else if (!open_next(lock))
      return nullptr;
  }
  return nullptr;
}

void WeightFeed::count_arrival(Entry& entry, Status status) {
  const std::lock_guard lock(mutex_);
  if (!status.ok()) return stop(std::move(status));
  ++entry.arrived;
  if (entry.is_there()) there_.notify_all();
}

Status WeightFeed::fill(Entry& entry, size_t chunk) {
  const int64_t begin = entry.input.cuts[chunk], bytes = entry.input.cuts[chunk + 1] - begin;
  TARE_ASSIGN_OR_RETURN(PinnedSender::Chunk* const room, sender_->room());
  std::byte* const pinned = PinnedSender::data(*room);
  if (Status status = entry.input.fill(chunk, pinned); !status.ok()) {
    sender_->give_back(*room);
    return status;
  }
  if (entry.input.check != nullptr)
    std::memcpy(host_ring_.data() + entry.begin + begin, pinned, static_cast<size_t>(bytes));
  sender_->send(*room, entry.to + begin, bytes,
                [this, &entry](Status status) { count_arrival(entry, std::move(status)); });
  return {};
}

void WeightFeed::work() {
  std::unique_lock lock(mutex_);
  size_t chunk = 0;
  while (Entry* const entry = claim(lock, &chunk)) {
    lock.unlock();
    Status status = fill(*entry, chunk);
    lock.lock();
    if (!status.ok()) return stop(std::move(status));
    const auto told = [&](size_t chunks) {
      return entry->input.plain_bytes * static_cast<int64_t>(chunks) / static_cast<int64_t>(entry->chunks());
    };
    const size_t filled = ++entry->filled;
    const int64_t plain = told(filled) - told(filled - 1);
    if (filled == entry->chunks()) {
      if (entry->input.check != nullptr) {
        lock.unlock();
        status = entry->input.check({host_ring_.data() + entry->begin, static_cast<size_t>(entry->input.cuts.back())});
        lock.lock();
        if (!status.ok()) return stop(std::move(status));
      }
      entry->done_here = true;
      if (entry->is_there()) there_.notify_all();  // it may be gone from now on
    }
    if (advance_) advance_(plain);
  }
}

Result<const std::byte*> WeightFeed::next() {
  std::unique_lock lock(mutex_);
  there_.wait(lock, [&] { return stopped_ || (given_ < entries_.size() && entries_[given_].is_there()); });
  if (stopped_) return failure_.ok() ? failure(Code::internal, "the feed has stopped") : failure_;
  return static_cast<const std::byte*>(entries_[given_++].to);
}

void WeightFeed::release() {
  const std::lock_guard lock(mutex_);
  entries_.pop_front();
  --given_;
  if (filling_ > 0) --filling_;
  changed_.notify_all();
}

}  // namespace tare
