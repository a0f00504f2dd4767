#include "core/runtime/weight_feed.hpp"

#include <algorithm>

namespace tare {
namespace {

constexpr int64_t kWaiting = int64_t{24} << 20;  // pinned bytes that are filled and wait for the bus

}  // namespace

Result<std::unique_ptr<WeightFeed>> WeightFeed::create(Device& device, Sizes sizes, std::string_view label,
                                                       std::function<Result<FeedInput>(int64_t)> open,
                                                       std::function<void(int64_t)> advance) {
  auto out = std::unique_ptr<WeightFeed>(new WeightFeed);
  out->count_ = sizes.count;
  out->ring_ = RingPlaces(sizes.ring_bytes);
  out->open_ = std::move(open), out->advance_ = std::move(advance);
  // Two cores are left to the thread that sends and to the one that takes: both wait for the device by spinning.
  const auto cores = static_cast<int32_t>(std::clamp(std::thread::hardware_concurrency(), 1u, 34u));
  const int32_t threads = std::max(2, cores - 2);
  out->num_threads_ = static_cast<size_t>(threads);
  if (out->ring_.bytes() > 0) {
    TARE_ASSIGN_OR_RETURN(out->device_ring_,
                          device.allocate(static_cast<size_t>(out->ring_.bytes()), Purpose::staging, label));
  }
  // What each fills, and some that waits for the bus.
  const int64_t pinned = threads * sizes.chunk_bytes + kWaiting;
  TARE_ASSIGN_OR_RETURN(out->sender_, PinnedSender::create(device, std::min(pinned, sizes.bytes), [feed = out.get()] {
                          const std::lock_guard lock(feed->mutex_);
                          feed->changed_.notify_all();
                        }));
  out->working_ = threads;
  for (int32_t w = 0; w < threads; ++w) out->threads_.emplace_back([feed = out.get()] { feed->work(); });
  return out;
}

WeightFeed::~WeightFeed() {
  stop();
  for (std::thread& t : threads_) t.join();
  sender_.reset();  // copies may still be under way to memory that ends here
}

void WeightFeed::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  there_.notify_all();
}

void WeightFeed::fail(Status why) {
  if (failure_.ok()) failure_ = std::move(why);
  stopped_ = true;
  changed_.notify_all();
  there_.notify_all();
}

// While there is enough for all threads one of them goes ahead, so that they need not wait for memory or a table.
bool WeightFeed::wants_to_open() const noexcept {
  return !opening_ && !opened_ && num_opened_ < count_ && unclaimed_ < num_threads_;
}

void WeightFeed::open_next(std::unique_lock<std::mutex>& lock) {
  opening_ = true;
  const int64_t which = num_opened_++;
  lock.unlock();
  auto input = open_(which);
  lock.lock();
  opening_ = false;
  if (!input.ok()) return fail(std::move(input).status());
  if (input->to == nullptr && input->cuts.back() > ring_.bytes())
    return fail(failure(Code::internal, "an input of ", input->cuts.back(), " bytes, the ring has ", ring_.bytes()));
  opened_ = std::move(*input);
}

// The ring's order is that of the inputs.
bool WeightFeed::place_opened() {
  if (!opened_) return false;
  const bool in_ring = opened_->to == nullptr;
  std::byte* to = opened_->to;
  if (in_ring) {
    const auto at = ring_.take(opened_->cuts.back());
    if (!at) return false;
    to = static_cast<std::byte*>(device_ring_->data()) + *at;
  }
  entries_.push_back({.input = std::move(*opened_), .in_ring = in_ring, .to = to});
  opened_.reset();
  unclaimed_ += entries_.back().chunks();
  changed_.notify_all();
  return true;
}

WeightFeed::Claim WeightFeed::claim(std::unique_lock<std::mutex>& lock) {
  while (!stopped_) {
    if (place_opened()) continue;
    if (wants_to_open()) {
      open_next(lock);
      continue;
    }
    while (filling_ < entries_.size() && entries_[filling_].claimed == entries_[filling_].chunks()) ++filling_;
    if (filling_ < entries_.size()) {
      Entry& entry = entries_[filling_];
      const std::vector<int64_t>& cuts = entry.input.cuts;
      auto room = sender_->take(cuts[entry.claimed + 1] - cuts[entry.claimed]);
      if (!room.ok()) return fail(std::move(room).status()), Claim();
      if (*room != nullptr) {
        --unclaimed_;
        return {&entry, entry.claimed++, *room};
      }
    } else if (num_opened_ == count_ && !opening_ && !opened_) {
      if (--working_ == 0) sender_->finish();  // no thread has anything under its hands
      return {};
    }
    changed_.wait(lock);
  }
  return {};
}

void WeightFeed::count_arrival(Entry& entry, Status status) {
  const std::lock_guard lock(mutex_);
  if (!status.ok()) return fail(std::move(status));
  ++entry.arrived;
  if (entry.is_there()) there_.notify_all();
}

Status WeightFeed::look(Entry& entry, size_t chunk, std::span<const std::byte> bytes) {
  if (entry.input.look == nullptr) return {};
  if (chunk >
      0) {  // there are more chunks than threads, so that none of those that wait keeps the first one from its own
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || entry.first_seen; });
    if (stopped_) return failure(Code::unavailable, "the feed has stopped");
  }
  TARE_RETURN_IF_ERROR(entry.input.look(entry.input.cuts[chunk], bytes));
  if (chunk == 0) {
    const std::lock_guard lock(mutex_);
    entry.first_seen = true;
    changed_.notify_all();
  }
  return {};
}

Status WeightFeed::fill(const Claim& claim) {
  Entry& entry = *claim.entry;
  const std::vector<int64_t>& cuts = entry.input.cuts;
  const int64_t begin = cuts[claim.chunk], bytes = cuts[claim.chunk + 1] - begin;
  std::byte* const pinned = PinnedSender::data(*claim.room);
  Status status = entry.input.fill(claim.chunk, pinned);
  if (status.ok()) status = look(entry, claim.chunk, {pinned, static_cast<size_t>(bytes)});
  if (!status.ok()) {
    sender_->give_back(*claim.room);
    return status;
  }
  sender_->send(*claim.room, entry.to + begin, [this, &entry](Status sent) { count_arrival(entry, std::move(sent)); });
  return {};
}

void WeightFeed::work() {
  std::unique_lock lock(mutex_);
  for (Claim mine; (mine = claim(lock)).entry != nullptr;) {
    Entry& entry = *mine.entry;
    lock.unlock();
    Status status = fill(mine);
    lock.lock();
    if (!status.ok()) return fail(std::move(status));
    const auto told = [&](size_t chunks) {
      return entry.input.plain_bytes * static_cast<int64_t>(chunks) / static_cast<int64_t>(entry.chunks());
    };
    const size_t filled = ++entry.filled;
    const int64_t plain = told(filled) - told(filled - 1);
    if (entry.is_there()) there_.notify_all();  // it may be gone from now on
    if (advance_) advance_(plain);
  }
}

Result<WeightFeed::Arrived> WeightFeed::next() {
  std::unique_lock lock(mutex_);
  there_.wait(lock, [&] { return stopped_ || (given_ < entries_.size() && entries_[given_].is_there()); });
  if (stopped_) return failure_.ok() ? failure(Code::internal, "the feed has stopped") : failure_;
  const size_t which = given_++;
  return Arrived{entries_[which].to, num_popped_ + static_cast<int64_t>(which)};
}

void WeightFeed::release(int64_t number) {
  const std::lock_guard lock(mutex_);
  entries_[static_cast<size_t>(number - num_popped_)].released = true;
  while (!entries_.empty() && entries_.front().released) {
    if (entries_.front().in_ring) ring_.give_back_oldest();
    entries_.pop_front();
    --given_, ++num_popped_;
    if (filling_ > 0) --filling_;
  }
  changed_.notify_all();
}

}  // namespace tare
