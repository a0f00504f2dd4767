// PinnedSender: bytes on their way from host threads to a device, through a ring of pinned memory. Threads take room,
// fill it and hand it back to be sent; one thread of its own sends, in the order in which room was taken, as few long
// copies as it can: what lies side by side here and there goes as one. [any thread]
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "core/api/device.hpp"
#include "core/runtime/ring_places.hpp"

namespace tare {

class PinnedSender {
 public:
  static constexpr int64_t kMostBytes = int64_t{4} << 20;  // of one chunk
  class Chunk;
  // Called by the sender's thread: a chunk's bytes are in device memory, or why not.
  using Arrived = std::function<void(Status)>;

  // `bytes` of pinned memory, made by the sender's thread; at least kMostBytes. `room`: called by it when there is more
  // room than before, and after the first failure.
  static Result<std::unique_ptr<PinnedSender>> create(Device& device, int64_t bytes, std::function<void()> room);
  ~PinnedSender();  // what was handed to send() is still sent
  PinnedSender(const PinnedSender&) = delete;

  // Memory of `bytes` to fill, and then to send() or give_back(); null: there is no room now. Exhausted: there never
  // will be.
  Result<Chunk*> take(int64_t bytes);
  static std::byte* data(Chunk& chunk) noexcept;
  void give_back(Chunk& chunk);
  void send(Chunk& chunk, std::byte* to_device, Arrived arrived);
  void finish();  // nobody takes room any more: the memory is freed when all has arrived

 private:
  struct Copy;
  PinnedSender(Device& device, int64_t bytes, std::function<void()> room);
  static bool is_filled(const Chunk& chunk) noexcept;
  bool is_spare() const noexcept;  // all of the memory
  Status make();
  void work();
  bool collect(Copy& copy);  // what can be sent now; false: nothing
  void start(Copy& copy);
  void wait_for_more(std::unique_lock<std::mutex>& lock, int64_t bytes_under_way);
  void end(Copy& copy, std::unique_lock<std::mutex>& lock);
  void free_places();
  void free_memory(std::unique_lock<std::mutex>& lock);

  Device& device_;
  const std::function<void()> room_;
  std::unique_ptr<Stream> stream_;
  std::mutex mutex_;
  std::condition_variable filled_;
  RingPlaces places_;
  std::unique_ptr<Buffer> pinned_;         // null: not made yet, freed, or the device offers none
  std::unique_ptr<std::byte[]> pageable_;  // then this
  std::byte* base_ = nullptr;              // of either; null: there is none yet
  Status failure_;
  std::deque<Chunk> chunks_;  // in the order in which they were taken; pointers to them stay
  bool finished_ = false, ending_ = false;
  std::thread thread_;
};

}  // namespace tare
