#include "core/runtime/weight_feed.hpp"

#include <algorithm>

namespace tare {
namespace {

constexpr int64_t kAlignment = 256;

}  // namespace

Result<std::unique_ptr<WeightFeed>> WeightFeed::create(Device& device, int64_t count, int64_t ring_bytes,
                                                       std::string_view label,
                                                       std::function<Result<FeedInput>(int64_t)> open,
                                                       std::function<void(int64_t)> advance) {
  auto out = std::unique_ptr<WeightFeed>(new WeightFeed);
  out->count_ = count;
  out->ring_bytes_ = (ring_bytes + kAlignment - 1) / kAlignment * kAlignment;
  out->open_ = std::move(open), out->advance_ = std::move(advance);
  const auto threads = static_cast<int32_t>(std::clamp(std::thread::hardware_concurrency(), 1u, 32u));
  TARE_ASSIGN_OR_RETURN(out->ring_, device.allocate(static_cast<size_t>(std::max(out->ring_bytes_, kAlignment)),
                                                    Purpose::staging, label));
  TARE_ASSIGN_OR_RETURN(out->uploader_, Uploader::create(device, threads));
  for (int32_t w = 0; w < threads; ++w) out->threads_.emplace_back([feed = out.get(), w] { feed->work(w); });
  return out;
}

WeightFeed::~WeightFeed() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (std::thread& t : threads_) t.join();
  // Copies may still be under way from memory that ends here.
  if (uploader_ != nullptr) static_cast<void>(uploader_->finish().ok());
}

void WeightFeed::stop(Status why) {
  if (failure_.ok()) failure_ = std::move(why);
  stopped_ = true;
  changed_.notify_all();
}

// Where so many bytes fit behind the newest entry: as one piece, never over one that is in use.
std::optional<int64_t> WeightFeed::place(int64_t bytes) const noexcept {
  if (entries_.empty()) return 0;
  const int64_t oldest = entries_.front().begin;
  if (head_ <= oldest) return bytes <= oldest - head_ ? std::optional(head_) : std::nullopt;
  if (head_ + bytes <= ring_bytes_) return head_;
  return bytes <= oldest ? std::optional<int64_t>(0) : std::nullopt;
}

WeightFeed::Entry* WeightFeed::claim(std::unique_lock<std::mutex>& lock, size_t* chunk) {
  while (!stopped_) {
    while (filling_ < entries_.size() && entries_[filling_].claimed == entries_[filling_].chunks()) ++filling_;
    if (filling_ < entries_.size()) {
      Entry& entry = entries_[filling_];
      *chunk = entry.claimed++;
      return &entry;
    }
    if (opened_ == count_) return nullptr;
    if (opening_) {
      changed_.wait(lock);
      continue;
    }
    opening_ = true;  // the others wait: the ring's order is that of the inputs
    lock.unlock();
    auto input = open_(opened_);
    lock.lock();
    if (!input.ok()) {
      stop(std::move(input).status());
      return nullptr;
    }
    const int64_t bytes = (input->cuts.back() + kAlignment - 1) / kAlignment * kAlignment;
    if (bytes > ring_bytes_) {
      stop(failure(Code::internal, "an input of ", bytes, " bytes, the ring has ", ring_bytes_));
      return nullptr;
    }
    changed_.wait(lock, [&] { return stopped_ || place(bytes).has_value(); });
    opening_ = false;
    if (stopped_) return nullptr;
    const int64_t begin = *place(bytes);
    head_ = begin + bytes;
    entries_.push_back({.input = std::move(*input),
                        .begin = begin,
                        .end = head_,
                        .base = static_cast<std::byte*>(ring_->data()) + begin,
                        .behind = nullptr});
    ++opened_;
    changed_.notify_all();
  }
  return nullptr;
}

Status WeightFeed::send(int32_t worker, const Entry& entry, size_t chunk) {
  const int64_t begin = entry.input.cuts[chunk], end = entry.input.cuts[chunk + 1];
  TARE_ASSIGN_OR_RETURN(std::byte* const to, uploader_->room(worker));
  TARE_RETURN_IF_ERROR(entry.input.fill(chunk, to));
  return uploader_->send(worker, entry.base + begin, static_cast<size_t>(end - begin));
}

void WeightFeed::work(int32_t worker) {
  std::unique_lock lock(mutex_);
  size_t chunk = 0;
  while (Entry* const entry = claim(lock, &chunk)) {
    lock.unlock();
    Status status = send(worker, *entry, chunk);
    lock.lock();
    if (!status.ok()) return stop(std::move(status));
    const auto told = [&](size_t chunks) {
      return entry->input.plain_bytes * static_cast<int64_t>(chunks) / static_cast<int64_t>(entry->chunks());
    };
    if (++entry->sent == entry->chunks()) {
      auto behind = uploader_->mark();
      if (!behind.ok()) return stop(std::move(behind).status());
      entry->behind = std::move(*behind);
      changed_.notify_all();
    }
    if (advance_) advance_(told(entry->sent) - told(entry->sent - 1));
  }
}

Result<const std::byte*> WeightFeed::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return stopped_ || (given_ < entries_.size() && entries_[given_].sent == entries_[given_].chunks());
  });
  if (stopped_) return failure_.ok() ? failure(Code::internal, "the feed has stopped") : failure_;
  Entry& entry = entries_[given_++];
  lock.unlock();
  if (entry.behind != nullptr) TARE_RETURN_IF_ERROR(entry.behind->wait());
  return static_cast<const std::byte*>(entry.base);
}

void WeightFeed::release() {
  const std::lock_guard lock(mutex_);
  entries_.pop_front();
  --given_;
  if (filling_ > 0) --filling_;
  changed_.notify_all();
}

}  // namespace tare
