// Host memory for buffers: large ones straight from the kernel, aligned to 2 MiB and marked for huge pages (1.05
// to 1.25 times the read rate of weights), small ones from the heap. [any thread]
#pragma once
#include <cstddef>

namespace tare::cpu {

// Zeroed, aligned to 64 bytes (2 MiB from 1 MiB up), freed by the destructor. `data` is null when the system refused.
class Memory {
 public:
  explicit Memory(size_t bytes) noexcept;
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data() const noexcept { return data_; }

 private:
  void* data_ = nullptr;
  size_t mapped_ = 0;  // 0: from the heap
};

}  // namespace tare::cpu
