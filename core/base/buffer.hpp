// Bytes without a first value: scratch that is used again and again, of which only what is written costs memory. A
// std::vector would fill it with zeros each time it grows. [one thread at a time]
#pragma once
#include <cstddef>
#include <memory>
#include <span>

namespace tare {

class Buffer {
 public:
  // The first `bytes` of it; what it held is lost when it has to grow.
  std::span<std::byte> fit(size_t bytes) {
    if (bytes > size_) bytes_ = std::make_unique_for_overwrite<std::byte[]>(bytes), size_ = bytes;
    return {bytes_.get(), bytes};
  }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  size_t size_ = 0;
};

}  // namespace tare
