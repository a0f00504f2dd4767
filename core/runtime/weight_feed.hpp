// WeightFeed: the bytes of many weights sent to a device ahead of whoever uses them there. Host threads fill pinned
// chunks, weight after weight; they go to memory of the weight's own or to a ring, and while one weight is worked on,
// the next ones travel. next() and release() by one thread.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "core/runtime/lay_out.hpp"
#include "core/runtime/pinned_sender.hpp"

namespace tare {

// What is sent of one weight, cut into chunks that threads fill in any order.
struct FeedInput {
  std::vector<int64_t> cuts;  // where chunks begin, and the end; none is longer than PinnedSender::kChunkBytes
  std::function<Status(size_t chunk, std::byte* to)> fill;  // [any thread]
  int64_t plain_bytes = 0;                                  // that its bytes stand for, for people who watch
  std::byte* to = nullptr;                                  // device memory that all of it goes to; null: the ring's
  // Where set, the host keeps all bytes until they were looked at here, once. [any thread]
  std::function<Status(std::span<const std::byte>)> check;
};

class WeightFeed {
 public:
  // The ring as places, and where it has memory: on the device for inputs without memory of their own, on the host
  // for those that are checked.
  struct Ring {
    int64_t bytes = 0;  // no input is longer that lies in it
    bool on_device = true, on_host = false;
  };
  // open(i) is called once for each i from 0 to count - 1, in order, by one of the feed's threads. `advance(plain
  // bytes)` is called as they are sent.
  static Result<std::unique_ptr<WeightFeed>> create(Device& device, int64_t count, Ring ring, std::string_view label,
                                                    std::function<Result<FeedInput>(int64_t)> open,
                                                    std::function<void(int64_t)> advance);
  ~WeightFeed();  // stops: what is not sent stays unsent
  WeightFeed(const WeightFeed&) = delete;

  // Waits until the next input lies in device memory, aligned to 256 bytes, and is checked. A failure of any input ends
  // the feed.
  Result<const std::byte*> next();
  // The input that next() gave first and that was not released yet is done with: nothing reads it any more.
  void release();

 private:
  WeightFeed() = default;
  struct Entry {
    FeedInput input;
    int64_t begin, end;                           // in the ring; equal: it does not lie there
    std::byte* to;                                // on the device
    size_t claimed = 0, filled = 0, arrived = 0;  // chunks
    bool done_here = false;                       // all filled, and checked: no thread of the feed touches it any more
    size_t chunks() const noexcept { return input.cuts.size() - 1; }
    bool is_there() const noexcept { return done_here && arrived == chunks(); }
  };
  void work();
  // The next chunk to fill; null when nothing is left or the feed has stopped.
  Entry* claim(std::unique_lock<std::mutex>& lock, size_t* chunk);
  bool open_next(std::unique_lock<std::mutex>& lock);  // false: the feed has stopped
  Status fill(Entry& entry, size_t chunk);
  void count_arrival(Entry& entry, Status status);
  std::optional<int64_t> place(int64_t bytes) const noexcept;
  void stop(Status why);

  int64_t count_ = 0;
  Ring ring_;
  std::function<Result<FeedInput>(int64_t)> open_;
  std::function<void(int64_t)> advance_;
  std::unique_ptr<Buffer> device_ring_;  // null: no input lies there
  AlignedBytes host_ring_;

  std::mutex mutex_;
  std::condition_variable changed_;  // something to fill, or a place in the ring
  std::condition_variable there_;    // something for next()
  std::deque<Entry> entries_;        // not released yet; pointers to them stay
  size_t given_ = 0;                 // of those, by next()
  size_t filling_ = 0;               // of those, the one whose chunks are dealt out
  int64_t opened_ = 0, head_ = 0;
  int32_t working_ = 0;  // threads that have not come to the end
  bool opening_ = false, stopped_ = false;
  Status failure_;
  std::unique_ptr<PinnedSender> sender_;
  std::vector<std::thread> threads_;
};

}  // namespace tare
