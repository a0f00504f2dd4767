// AddressRange: a reserved range of device addresses whose parts get physical memory as they are taken and lose it
// when they are given back. Parts lie side by side, many small ones in one unit of the driver's granularity (2 MiB), so
// that small weights do not cost a unit each. [any thread]
#pragma once
#include <map>
#include <memory>
#include <mutex>

#include "plugins/device_cuda/context.hpp"

namespace tare::cuda {

class AddressRange {
 public:
  // Reserves addresses for at least `bytes`; takes no memory yet. unsupported: the device cannot map memory.
  static Result<std::shared_ptr<AddressRange>> reserve(ContextRef context, size_t bytes);
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;
  ~AddressRange();

  // `bytes` of mapped memory, aligned to kAlignment. `doing` says for what, in errors; a failure changes nothing.
  Result<CuAddress> take(size_t bytes, std::string_view doing);
  // What take() gave; waits until the device has finished with it, as freeing memory does.
  void give_back(CuAddress address, size_t bytes) noexcept;
  size_t mapped() const;  // bytes of physical memory in use
  CuAddress base() const noexcept { return base_; }
  size_t bytes() const noexcept { return bytes_; }
  static constexpr size_t kAlignment = 512;  // as cuMemAlloc's

 private:
  // A piece of physical memory, mapped as one and unmapped when the last part that touches it is gone.
  struct Run {
    size_t end = 0;
    CuMemoryHandle handle = 0;
    size_t users = 0;
  };
  using Runs = std::map<size_t, Run>;  // by where they begin
  AddressRange(ContextRef context, CuAddress base, size_t bytes, size_t unit);
  Result<Runs::iterator> map(size_t begin, size_t end, std::string_view doing);
  void unmap(Runs::iterator run) noexcept;
  // Every unit under [begin, end) gets memory; the runs that were made for it are undone on failure.
  Status cover(size_t begin, size_t end, std::string_view doing);
  void leave(size_t begin, size_t end) noexcept;

  const ContextRef context_;
  const CuAddress base_;
  const size_t bytes_, unit_;
  mutable std::mutex mutex_;
  std::map<size_t, size_t> free_;  // where free addresses begin, and how many
  Runs runs_;
};

}  // namespace tare::cuda
