// WeightFeed: the bytes of many weights sent to a device ahead of whoever uses them there. Host threads fill pinned
// chunks, weight after weight; they go to memory of the weight's own or to a ring, and while one weight is worked on,
// the next ones travel. next() by one thread; release() by any.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "core/runtime/pinned_sender.hpp"
#include "core/runtime/ring_places.hpp"

namespace tare {

// What is sent as one, cut into chunks that threads fill in any order.
struct FeedInput {
  std::vector<int64_t> cuts;  // where chunks begin, and the end; none is longer than PinnedSender::kMostBytes
  std::function<Status(size_t chunk, std::byte* to)> fill;  // [any thread]
  int64_t plain_bytes = 0;                                  // that its bytes stand for, for people who watch
  std::byte* to = nullptr;                                  // device memory that all of it goes to; null: the ring's
  // Where set, every chunk is looked at when it is filled: the first one before the others. [any thread]
  std::function<Status(int64_t begin, std::span<const std::byte> chunk)> look;
};

class WeightFeed {
 public:
  struct Sizes {
    int64_t count = 0;       // inputs
    int64_t bytes = 0;       // of all of them, about: fewer need less pinned memory
    int64_t ring_bytes = 0;  // device memory for inputs without memory of their own, none of which is longer
    int64_t chunk_bytes = PinnedSender::kMostBytes;  // the longest chunk
  };
  // open(i) is called once for each i from 0 to count - 1, in order, by one of the feed's threads at a time.
  // `advance(plain bytes)` is called as they are sent.
  static Result<std::unique_ptr<WeightFeed>> create(Device& device, Sizes sizes, std::string_view label,
                                                    std::function<Result<FeedInput>(int64_t)> open,
                                                    std::function<void(int64_t)> advance);
  ~WeightFeed();  // stops: what is not sent stays unsent
  WeightFeed(const WeightFeed&) = delete;

  struct Arrived {
    const std::byte* data;
    int64_t number;  // of the input, for release()
  };
  // Waits until the next input lies in device memory, aligned to 256 bytes, and was looked at. A failure of any input
  // ends the feed.
  Result<Arrived> next();
  // Nothing reads that input any more.
  void release(int64_t number);
  void stop();  // next() waits no longer

 private:
  WeightFeed() = default;
  struct Entry {
    FeedInput input;
    bool in_ring;
    std::byte* to;                                // on the device
    size_t claimed = 0, filled = 0, arrived = 0;  // chunks
    bool first_seen = false;                      // its first chunk was looked at
    bool released = false;
    size_t chunks() const noexcept { return input.cuts.size() - 1; }
    bool is_there() const noexcept { return filled == chunks() && arrived == chunks(); }
  };
  struct Claim {
    Entry* entry = nullptr;  // null: nothing is left, or the feed has stopped
    size_t chunk = 0;
    PinnedSender::Chunk* room = nullptr;  // to fill
  };
  void work();
  // The next chunk to fill. Chunks and room are taken in one order, so that what follows each other travels together.
  Claim claim(std::unique_lock<std::mutex>& lock);
  bool wants_to_open() const noexcept;
  void open_next(std::unique_lock<std::mutex>& lock);
  bool place_opened();  // false: there is none, or no room for it yet
  Status fill(const Claim& claim);
  Status look(Entry& entry, size_t chunk, std::span<const std::byte> bytes);
  void count_arrival(Entry& entry, Status status);
  void fail(Status why);

  int64_t count_ = 0;
  size_t num_threads_ = 0;
  std::function<Result<FeedInput>(int64_t)> open_;
  std::function<void(int64_t)> advance_;
  std::unique_ptr<Buffer> device_ring_;  // null: no input lies there

  std::mutex mutex_;
  std::condition_variable changed_;  // something to fill, or a place in the ring
  std::condition_variable there_;    // something for next()
  RingPlaces ring_;
  std::optional<FeedInput> opened_;  // and not in entries_ yet
  std::deque<Entry> entries_;        // not released yet; pointers to them stay
  size_t given_ = 0;                 // of those, by next()
  size_t filling_ = 0;               // of those, the one whose chunks are dealt out
  size_t unclaimed_ = 0;             // chunks of all of those
  int64_t num_opened_ = 0, num_popped_ = 0;
  int32_t working_ = 0;  // threads that have not come to the end
  bool opening_ = false, stopped_ = false;
  Status failure_;
  std::unique_ptr<PinnedSender> sender_;
  std::vector<std::thread> threads_;
};

}  // namespace tare
