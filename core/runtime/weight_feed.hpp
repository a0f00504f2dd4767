// WeightFeed: the bytes of many weights sent to a device ahead of whoever uses them there. Host threads fill pinned
// chunks, weight after weight, into a ring of device memory; while one weight is worked on, the next ones travel.
// next() and release() by one thread.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>

#include "core/runtime/staging.hpp"

namespace tare {

// What is sent of one weight, cut into chunks that threads fill in any order.
struct FeedInput {
  std::vector<int64_t> cuts;  // where chunks begin, and the end; none is longer than Uploader::kChunkBytes
  std::function<Status(size_t chunk, std::byte* to)> fill;  // [any thread]
  int64_t plain_bytes = 0;                                  // that its bytes stand for, for people who watch
};

class WeightFeed {
 public:
  // open(i) is called once for each i from 0 to count - 1, in order, by one of the feed's threads; no input is longer
  // than `ring_bytes`. `advance(plain bytes)` is called as they are sent.
  static Result<std::unique_ptr<WeightFeed>> create(Device& device, int64_t count, int64_t ring_bytes,
                                                    std::string_view label,
                                                    std::function<Result<FeedInput>(int64_t)> open,
                                                    std::function<void(int64_t)> advance);
  ~WeightFeed();  // stops: what is not sent stays unsent
  WeightFeed(const WeightFeed&) = delete;

  // Waits until the next input lies in device memory, aligned to 256 bytes. A failure of any input ends the feed.
  Result<const std::byte*> next();
  // The input that next() gave first and that was not released yet is done with: nothing reads it any more.
  void release();

 private:
  WeightFeed() = default;
  struct Entry {
    FeedInput input;
    int64_t begin, end;             // in the ring
    std::byte* base;                // on the device
    size_t claimed = 0, sent = 0;   // chunks
    std::unique_ptr<Event> behind;  // of the last chunk's copy
    size_t chunks() const noexcept { return input.cuts.size() - 1; }
  };
  void work(int32_t worker);
  // The next chunk to fill; null when nothing is left or the feed has stopped.
  Entry* claim(std::unique_lock<std::mutex>& lock, size_t* chunk);
  Status send(int32_t worker, const Entry& entry, size_t chunk);
  std::optional<int64_t> place(int64_t bytes) const noexcept;
  void stop(Status why);

  int64_t count_ = 0, ring_bytes_ = 0;
  std::function<Result<FeedInput>(int64_t)> open_;
  std::function<void(int64_t)> advance_;
  std::unique_ptr<Buffer> ring_;
  std::unique_ptr<Uploader> uploader_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> entries_;  // not released yet; pointers to them stay
  size_t given_ = 0;           // of those, by next()
  size_t filling_ = 0;         // of those, the one whose chunks are dealt out
  int64_t opened_ = 0, head_ = 0;
  bool opening_ = false, stopped_ = false;
  Status failure_;
  std::vector<std::thread> threads_;
};

}  // namespace tare
