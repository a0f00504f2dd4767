// The way of weights to a device that reads no host memory: host threads that read or lay them out, and copies through
// pinned buffers, two a thread, one filled while the other travels. [loader]
#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "core/api/device.hpp"

namespace tare {

// This process's threads as cpu_parallel/1, for devices that have none. 0: all cores.
std::unique_ptr<CpuParallel> make_host_threads(int32_t threads);

class Uploader {
 public:
  static constexpr size_t kChunkBytes = size_t{4} << 20;
  // For workers 0 .. workers - 1.
  static Result<std::unique_ptr<Uploader>> create(Device& device, int32_t workers);
  // Memory of kChunkBytes that the worker may fill; it waits until what it sent from there has left. [its thread]
  Result<std::byte*> room(int32_t worker);
  // Sends `bytes` of what room() gave last. [its thread]
  Status send(int32_t worker, void* to_device, size_t bytes);
  // Copies any amount through worker 0's buffers: `from` may be changed when it returns.
  Status copy(void* to_device, const void* from, size_t bytes);
  // An event behind all that was sent so far. [any thread]
  Result<std::unique_ptr<Event>> mark();
  Status finish();  // everything has arrived
  Stream& stream() noexcept { return *stream_; }

 private:
  explicit Uploader(Device& device) : device_(device) {}
  struct Slot {
    std::unique_ptr<Buffer> pinned;   // null: the device offers none
    std::vector<std::byte> pageable;  // then this
    std::unique_ptr<Event> sent;      // null: it was never used
    std::byte* data() noexcept { return pinned != nullptr ? static_cast<std::byte*>(pinned->data()) : pageable.data(); }
  };
  struct Worker {
    Slot slots[2];
    size_t now = 0;
  };
  Device& device_;
  std::unique_ptr<Stream> stream_;
  std::mutex mutex_;  // guards the stream
  std::vector<Worker> workers_;
};

}  // namespace tare
