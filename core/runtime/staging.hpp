// The way of weights that the host lays out to a device that reads no host memory: host threads for the work, and
// copies through two pinned buffers, one filled while the other travels. [loader]
#pragma once
#include <memory>
#include <vector>

#include "core/api/device.hpp"

namespace tare {

// This process's threads as cpu_parallel/1, for devices that have none. 0: all cores.
std::unique_ptr<CpuParallel> make_host_threads(int32_t threads);

class Uploader {
 public:
  static Result<std::unique_ptr<Uploader>> create(Device& device);
  // `from` may be changed when it returns.
  Status copy(void* to_device, const void* from, size_t bytes);
  Status finish();  // everything has arrived
  Stream& stream() noexcept { return *stream_; }

 private:
  static constexpr size_t kChunkBytes = size_t{2} << 20;
  explicit Uploader(Device& device) : device_(device) {}
  struct Slot {
    std::unique_ptr<Buffer> pinned;   // null: the device offers none
    std::vector<std::byte> pageable;  // then this
    std::unique_ptr<Event> sent;      // null: it was never used
  };
  // Memory that may be filled; waits until what was sent from there has left.
  Result<std::byte*> room(Slot& slot);
  Device& device_;
  std::unique_ptr<Stream> stream_;
  Slot slots_[2];  // made when first used
  size_t now_ = 0;
};

}  // namespace tare
