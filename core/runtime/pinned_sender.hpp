// PinnedSender: bytes on their way from host threads to a device. Threads fill chunks of pinned memory; one thread of
// its own sends them, in the order in which they come, and tells when they have arrived. Chunks are used again and
// again, and made as they are first wanted. [any thread]
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/api/device.hpp"

namespace tare {

class PinnedSender {
 public:
  // Long enough for the bus; short enough that what a thread reads is still in its cache when it checks it.
  static constexpr int64_t kChunkBytes = int64_t{2} << 20;
  // Called by the sender's thread, in order: the bytes are in device memory, or why not.
  using Arrived = std::function<void(Status)>;
  class Chunk;

  static Result<std::unique_ptr<PinnedSender>> create(Device& device, size_t most_chunks);
  ~PinnedSender();  // what was handed to send() is still sent
  PinnedSender(const PinnedSender&) = delete;

  // Memory of kChunkBytes to fill, and then to send() or give_back(). Waits for one to come free; unavailable after
  // stop().
  Result<Chunk*> room();
  static std::byte* data(Chunk& chunk) noexcept;
  void give_back(Chunk& chunk);
  void send(Chunk& chunk, void* to_device, int64_t bytes, Arrived arrived);
  void stop();    // room() waits no longer
  void finish();  // nobody asks for room any more: chunks are freed as their bytes arrive

 private:
  PinnedSender(Device& device, size_t most_chunks);
  struct Sent {
    Chunk* chunk;
    void* to;
    int64_t bytes;
    Arrived arrived;
    std::unique_ptr<Event> behind;  // the copy; null: it failed
    Status status;
  };
  void work();
  void start(Sent& one);
  void free_spare(std::unique_lock<std::mutex>& lock);
  Result<std::unique_ptr<Chunk>> make() const;

  Device& device_;
  const size_t most_chunks_;
  std::unique_ptr<Stream> stream_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  size_t made_ = 0;  // and being made
  std::vector<Chunk*> free_;
  std::deque<Sent> queue_;  // filled, and not with the device yet
  bool stopped_ = false, finished_ = false, ending_ = false;
  std::thread thread_;
};

}  // namespace tare
