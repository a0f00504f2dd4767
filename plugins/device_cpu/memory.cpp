#include "plugins/device_cpu/memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

namespace tare::cpu {
namespace {
constexpr size_t kHugePage = size_t{2} << 20, kPage = 4096, kMapFrom = size_t{1} << 20;
constexpr std::align_val_t kAlignment{64};
}  // namespace

Memory::Memory(size_t bytes) noexcept {
  if (bytes < kMapFrom) {
    data_ = ::operator new(bytes == 0 ? 1 : bytes, kAlignment, std::nothrow);
    if (data_ != nullptr) std::memset(data_, 0, bytes);
    return;
  }
  if (bytes > std::numeric_limits<size_t>::max() - kHugePage - kPage) return;
  const size_t size = (bytes + kPage - 1) / kPage * kPage, reach = size + kHugePage;
  void* const base = ::mmap(nullptr, reach, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return;
  const auto first = reinterpret_cast<uintptr_t>(base);
  const uintptr_t aligned = (first + kHugePage - 1) / kHugePage * kHugePage;
  if (aligned != first) ::munmap(base, aligned - first);
  if (const uintptr_t end = first + reach; end != aligned + size)
    ::munmap(reinterpret_cast<void*>(aligned + size), end - aligned - size);
  data_ = reinterpret_cast<void*>(aligned);
  mapped_ = size;
#if defined(MADV_HUGEPAGE)
  ::madvise(data_, size, MADV_HUGEPAGE);  // advice: a kernel without huge pages serves small ones
#endif
}

Memory::~Memory() {
  if (mapped_ != 0)
    ::munmap(data_, mapped_);
  else
    ::operator delete(data_, kAlignment);
}

}  // namespace tare::cpu
