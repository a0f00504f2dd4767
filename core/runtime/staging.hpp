// The way of weights to a device that reads no host memory: host threads that lay them out, and copies through two
// pinned buffers, one filled while the other travels. [loader]
#pragma once
#include <array>
#include <memory>

#include "core/api/device.hpp"

namespace tare {

// This process's threads as cpu_parallel/1, for devices that have none. 0: all cores.
std::unique_ptr<CpuParallel> make_host_threads(int32_t threads);

class Uploader {
 public:
  static Result<std::unique_ptr<Uploader>> create(Device& device);
  // Copies so that `from` may be changed when it returns; the bytes have arrived after finish().
  Status copy(void* to_device, const void* from, size_t bytes);
  Status finish();
  Stream& stream() noexcept { return *stream_; }

 private:
  static constexpr size_t kChunkBytes = size_t{8} << 20;
  explicit Uploader(Device& device) : device_(device) {}
  Device& device_;
  std::unique_ptr<Stream> stream_;
  struct Slot {
    std::unique_ptr<Buffer> pinned;  // null: the device offers none, copies go as they are
    std::unique_ptr<Event> sent;     // null: it was never used
  };
  std::array<Slot, 2> slots_;
  size_t next_ = 0;
};

}  // namespace tare
